//! New identifiers.

use adjutant_wire::id::Id;
use rand::RngExt;
use rand::distr::Alphanumeric;

/// A new identifier: its prefix and 24 random letters and digits, as recorded.
pub fn fresh<I: Id>() -> I {
    let mut text = String::with_capacity(I::PREFIX.len() + 24);
    text.push_str(I::PREFIX);
    text.extend(rand::rng().sample_iter(Alphanumeric).take(24).map(char::from));
    I::from_checked(text)
}

/// 32 random hexadecimal digits.
pub fn hex() -> String {
    format!("{:032x}", rand::rng().random::<u128>())
}
