//! New identifiers.

use adjutant_wire::id::{Id, Tail};
use rand::RngExt;
use rand::distr::Alphanumeric;

/// A new identifier: its prefix, and random letters and digits as many as recorded.
pub fn fresh<I: Id>() -> I {
    let mut text = I::PREFIX.to_owned();
    match I::TAIL {
        Tail::Alphanumeric(length) => {
            text.extend(rand::rng().sample_iter(Alphanumeric).take(length).map(char::from));
        }
        Tail::Hexadecimal(length) => text.extend(hex().chars().cycle().take(length)),
    }
    I::from_checked(text)
}

/// 32 random hexadecimal digits.
pub fn hex() -> String {
    format!("{:032x}", rand::rng().random::<u128>())
}
