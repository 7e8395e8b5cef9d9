//! Native sessions where there are no walls for them.

use super::{Engine, NativeSettings, Starting, Unstarted};

/// The engine, which only Linux has.
pub struct Native(std::convert::Infallible);

impl Native {
    /// Says that there is none.
    ///
    /// # Errors
    /// Always.
    pub async fn new(_: NativeSettings) -> Result<Self, Unstarted> {
        Err(Unstarted("the walls around its processes are Linux's".to_owned()))
    }
}

impl Engine for Native {
    fn probe(&self) -> &'static str {
        match self.0 {}
    }

    fn start<'a>(&'a self, _: &'a [String]) -> Starting<'a> {
        match self.0 {}
    }
}
