//! Which faults of a database pass by themselves, so that it is worth trying again.

use sqlx::Error;
use sqlx::error::DatabaseError;

/// Classes of PostgreSQL's codes: lost connections, no room for now, and whoever runs it stops or starts it.
const CLASSES: [&str; 3] = ["08", "53", "57"];

/// PostgreSQL's codes of transactions that others were in the way of: a deadlock, a conflict, a lock not given in time,
/// one that was idle for too long; and of a server that has just become, or ceased to be, a copy of another.
const CODES: [&str; 6] = ["40001", "40P01", "40003", "55P03", "25P03", "25006"];

/// Whether the same may work a little later: the database is away, or others were in the way. What was to be
/// committed when a connection was lost may have been.
pub(super) fn passes(error: &Error) -> bool {
    if let Error::Database(error) = error {
        return error.code().is_some_and(|code| is_passing(&code, &**error));
    }
    matches!(error, Error::Io(_) | Error::PoolTimedOut | Error::WorkerCrashed)
}

fn is_passing(code: &str, error: &dyn DatabaseError) -> bool {
    // SQLite's codes are numbers without letters, of other lengths: none of them passes by itself.
    error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some()
        && (CODES.contains(&code) || CLASSES.iter().any(|class| code.starts_with(class)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_away_comes_back_and_what_is_wrong_stays_so() {
        let away = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert!(passes(&Error::Io(away)) && passes(&Error::PoolTimedOut));
        assert!(!passes(&Error::RowNotFound) && !passes(&Error::ColumnNotFound("x".to_owned())));
    }
}
