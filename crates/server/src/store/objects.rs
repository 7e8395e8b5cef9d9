//! What all tables have in common: objects found by id, changed, deleted and listed by position.

use adjutant_wire::id::Id;
use adjutant_wire::list::{List, ListQuery, Order};
use anyhow::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::AssertSqlSafe;

use super::{Reading, Writing};
use crate::fault::Result;

/// An object with a table of its own.
pub(super) trait Stored: Serialize + DeserializeOwned {
    /// The type of its identifier.
    type Id: Id;
    /// Its table.
    const TABLE: &'static str;
    /// Its identifier.
    fn id(&self) -> &Self::Id;
}

/// Which objects of a table belong to a list: a column and its value.
pub(super) type Within<'a> = (&'static str, &'a str);

/// An object's place in its list: position and id.
pub(super) type Cursor = (i64, String);

pub(super) fn read<T: DeserializeOwned>(object: &str) -> Result<T> {
    Ok(serde_json::from_str(object).context("a stored object could not be read")?)
}

impl Reading {
    /// The object, where it exists in this project and within what is named.
    pub(super) async fn object<T: Stored>(&mut self, id: &T::Id, within: &[Within<'_>]) -> Result<T> {
        let sql = format!("select object from {} where id = $1 and project = $2{}", T::TABLE, and(within, 3));
        let mut query =
            sqlx::query_as::<_, (String,)>(AssertSqlSafe(sql)).bind(id.as_str()).bind(self.project());
        for (_, value) in within {
            query = query.bind(*value);
        }
        match query.fetch_optional(self.connection()).await? {
            Some((object,)) => read(&object),
            None => Err(id.missing().into()),
        }
    }

    /// A page of the objects within what is named, as the contract's §1 pages.
    pub(super) async fn page<T: Stored>(
        &mut self,
        query: &ListQuery,
        within: &[Within<'_>],
    ) -> Result<List<T>> {
        let after = self.cursor::<T>(query.after.as_deref(), within).await?;
        let before = self.cursor::<T>(query.before.as_deref(), within).await?;
        self.page_between(T::TABLE, query, within, (after, before)).await
    }

    /// A page between two objects, read from a table or from what looks like one.
    pub(super) async fn page_between<T: Stored>(
        &mut self,
        table: &str,
        query: &ListQuery,
        within: &[Within<'_>],
        (after, before): (Option<Cursor>, Option<Cursor>),
    ) -> Result<List<T>> {
        // With `before` alone the page ends at the cursor, so it is read backwards from there.
        let backwards = after.is_none() && before.is_some();
        let ascending = (query.order == Order::Asc) != backwards;
        let (following, preceding) = if query.order == Order::Asc { (">", "<") } else { ("<", ">") };
        let mut sql = format!("select object from {table} where project = $1{}", and(within, 2));
        let mut next = within.len() + 2;
        for (cursor, sign) in [(&after, following), (&before, preceding)] {
            if cursor.is_some() {
                sql.push_str(&format!(" and (position, id) {sign} (${next}, ${})", next + 1));
                next += 2;
            }
        }
        let direction = if ascending { "asc" } else { "desc" };
        sql.push_str(&format!(" order by position {direction}, id {direction} limit ${next}"));
        let mut rows = sqlx::query_as::<_, (String,)>(AssertSqlSafe(sql)).bind(self.project());
        for (_, value) in within {
            rows = rows.bind(*value);
        }
        for (position, id) in [&after, &before].into_iter().flatten() {
            rows = rows.bind(*position).bind(id.as_str());
        }
        let rows = rows.bind(query.limit + 1).fetch_all(self.connection()).await?;
        let limit = usize::try_from(query.limit).unwrap_or_default();
        let has_more = rows.len() > limit;
        let mut objects: Vec<T> =
            rows.iter().take(limit).map(|(object,)| read(object)).collect::<Result<_>>()?;
        if backwards {
            objects.reverse();
        }
        Ok(List::new(objects, has_more, |object| object.id().as_str()))
    }

    /// The place of the object with this id in its list.
    pub(super) async fn cursor<T: Stored>(
        &mut self,
        id: Option<&str>,
        within: &[Within<'_>],
    ) -> Result<Option<Cursor>> {
        let Some(id) = id else { return Ok(None) };
        let id = T::Id::parse(id)?;
        let sql =
            format!("select position from {} where id = $1 and project = $2{}", T::TABLE, and(within, 3));
        let mut query =
            sqlx::query_as::<_, (i64,)>(AssertSqlSafe(sql)).bind(id.as_str()).bind(self.project());
        for (_, value) in within {
            query = query.bind(*value);
        }
        match query.fetch_optional(self.connection()).await? {
            Some((position,)) => Ok(Some((position, id.as_str().to_owned()))),
            None => Err(id.missing().into()),
        }
    }
}

impl Writing {
    /// The object, kept from other writers until the transaction ends.
    pub(super) async fn locked<T: Stored>(&mut self, id: &T::Id, within: &[Within<'_>]) -> Result<T> {
        let sql = format!(
            "update {} set position = position where id = $1 and project = $2{} returning object",
            T::TABLE,
            and(within, 3)
        );
        let mut query =
            sqlx::query_as::<_, (String,)>(AssertSqlSafe(sql)).bind(id.as_str()).bind(self.project());
        for (_, value) in within {
            query = query.bind(*value);
        }
        match query.fetch_optional(self.connection()).await? {
            Some((object,)) => read(&object),
            None => Err(id.missing().into()),
        }
    }

    /// Stores an object's new state.
    pub(super) async fn store<T: Stored>(&mut self, object: &T) -> Result<()> {
        let sql = format!("update {} set object = $1 where id = $2 and project = $3", T::TABLE);
        sqlx::query(AssertSqlSafe(sql))
            .bind(serde_json::to_string(object)?)
            .bind(object.id().as_str())
            .bind(self.project())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// 404 where there is none.
    pub(super) async fn delete<T: Stored>(&mut self, id: &T::Id, within: &[Within<'_>]) -> Result<()> {
        let sql = format!("delete from {} where id = $1 and project = $2{}", T::TABLE, and(within, 3));
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(id.as_str()).bind(self.project());
        for (_, value) in within {
            query = query.bind(*value);
        }
        if query.execute(self.connection()).await?.rows_affected() == 0 {
            return Err(id.missing().into());
        }
        Ok(())
    }
}

/// The condition that an object is within what is named, its values from `$first` on.
pub(super) fn and(within: &[Within<'_>], first: usize) -> String {
    let condition =
        |(index, (column, _)): (usize, &Within<'_>)| format!(" and {column} = ${}", first + index);
    within.iter().enumerate().map(condition).collect()
}
