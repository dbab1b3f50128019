//! Dependents of a table, and whether the account can see all of them. What it cannot see is assumed to exist. Read
//! only.

use osiris_core::Result;

use super::session::Session;
use super::target::{TableName, cell, text};

/// Engines whose tables a foreign key can reference.
const WITH_FOREIGN_KEYS: [&str; 2] = ["innodb", "ndbcluster"];

/// What would be lost if another table took its place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Dependents {
    /// Why the table cannot be swapped for another one; empty if nothing would be lost.
    pub(super) reasons: Vec<String>,
    /// Tables whose rows would be deleted or changed with rows of this one.
    pub(super) cascades_to: Vec<String>,
    /// Whether the table has triggers, or may have triggers that the account cannot see.
    pub(super) may_have_triggers: bool,
}

impl Dependents {
    /// Reads them.
    ///
    /// # Errors
    /// When the query fails.
    pub(super) async fn read(session: &mut Session, name: &TableName, engine: &str) -> Result<Self> {
        let rights = Rights::read(session, name).await?;
        let mut found = Self::default();
        found.triggers(session, name, &rights).await?;
        found.foreign_keys(session, name, engine, &rights).await?;
        found.definition(session, name).await?;
        Ok(found)
    }

    async fn triggers(&mut self, session: &mut Session, name: &TableName, rights: &Rights) -> Result<()> {
        let (schema, table) = (text(&name.schema), text(&name.table));
        let sql = format!(
            "SELECT COUNT(*) FROM information_schema.TRIGGERS \
             WHERE EVENT_OBJECT_SCHEMA = {schema} AND EVENT_OBJECT_TABLE = {table}"
        );
        let seen = session.rows(&sql).await?.first().is_some_and(|row| cell(row, 0) != "0");
        if seen {
            self.reasons.push("it has triggers".to_owned());
        } else if !rights.sees_triggers {
            self.reasons.push("the account lacks TRIGGER, so it cannot see triggers".to_owned());
        }
        self.may_have_triggers = seen || !rights.sees_triggers;
        Ok(())
    }

    async fn foreign_keys(
        &mut self,
        session: &mut Session,
        name: &TableName,
        engine: &str,
        rights: &Rights,
    ) -> Result<()> {
        let (schema, table) = (text(&name.schema), text(&name.table));
        let sql = format!(
            "SELECT CONSTRAINT_SCHEMA, TABLE_NAME, DELETE_RULE, REFERENCED_TABLE_NAME \
             FROM information_schema.REFERENTIAL_CONSTRAINTS \
             WHERE (CONSTRAINT_SCHEMA = {schema} AND TABLE_NAME = {table}) \
             OR (UNIQUE_CONSTRAINT_SCHEMA = {schema} AND REFERENCED_TABLE_NAME = {table})"
        );
        let rows = session.rows(&sql).await?;
        let acts = |rule: &str| rule == "CASCADE" || rule.starts_with("SET");
        self.cascades_to = rows
            .iter()
            .filter(|row| cell(row, 3).eq_ignore_ascii_case(&name.table) && acts(cell(row, 2)))
            .map(|row| format!("{}.{}", cell(row, 0), cell(row, 1)))
            .collect();
        if !rows.is_empty() {
            self.reasons.push("it has foreign keys, or is referenced by one".to_owned());
        } else if WITH_FOREIGN_KEYS.contains(&engine.to_ascii_lowercase().as_str())
            && !rights.sees_foreign_keys
            && !is_known_to_be_unreferenced(session, name).await?
        {
            self.reasons.push("the account cannot see foreign keys of tables on which it has no privileges".to_owned());
        }
        Ok(())
    }

    /// What `CREATE TABLE ... LIKE` omits or renames.
    async fn definition(&mut self, session: &mut Session, name: &TableName) -> Result<()> {
        let (schema, table) = (text(&name.schema), text(&name.table));
        if session.facts().mariadb {
            let sql = format!(
                "SELECT TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = {schema} AND TABLE_NAME = {table}"
            );
            if session.rows(&sql).await?.first().is_some_and(|row| cell(row, 0) == "SYSTEM VERSIONED") {
                self.reasons.push("it is system-versioned".to_owned());
            }
            return Ok(());
        }
        let sql = format!(
            "SELECT CONSTRAINT_TYPE FROM information_schema.TABLE_CONSTRAINTS \
             WHERE TABLE_SCHEMA = {schema} AND TABLE_NAME = {table} AND CONSTRAINT_TYPE IN ('CHECK', 'PRIMARY KEY')"
        );
        let rows = session.rows(&sql).await?;
        if rows.iter().any(|row| cell(row, 0) == "CHECK") {
            self.reasons.push("it has named CHECK constraints, which a copy would rename".to_owned());
        }
        if session.facts().wants_primary_keys && !rows.iter().any(|row| cell(row, 0) == "PRIMARY KEY") {
            self.reasons.push("it has no primary key, which the server requires for new tables".to_owned());
        }
        Ok(())
    }
}

/// What the account can see.
#[derive(Debug, Clone, Copy, Default)]
struct Rights {
    sees_triggers: bool,
    sees_foreign_keys: bool,
}

impl Rights {
    /// Privileges of the account itself. Those granted through a role are ignored, which is the safe assumption.
    async fn read(session: &mut Session, name: &TableName) -> Result<Self> {
        let account = session.rows("SELECT CURRENT_USER()").await?;
        let account = account.first().map(|row| cell(row, 0)).unwrap_or_default().to_owned();
        let Some((user, host)) = account.rsplit_once('@') else { return Ok(Self::default()) };
        let grantee = text(&format!("'{user}'@'{host}'"));
        let global = format!(
            "SELECT PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES WHERE GRANTEE = {grantee} \
             AND PRIVILEGE_TYPE IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'REFERENCES', 'TRIGGER')"
        );
        // With partial revokes a global privilege may have exceptions.
        let global = if session.facts().partial_revokes { Vec::new() } else { session.rows(&global).await? };
        if global.iter().any(|row| cell(row, 0) == "TRIGGER") {
            return Ok(Self { sees_triggers: true, sees_foreign_keys: global.len() == 6 });
        }
        // Several patterns may match the name, and the server uses only one: all must have the privilege.
        let (schema, table) = (text(&name.schema), text(&name.table));
        let of_schema_sql = format!(
            "SELECT TABLE_SCHEMA, MAX(PRIVILEGE_TYPE = 'TRIGGER') FROM information_schema.SCHEMA_PRIVILEGES \
             WHERE GRANTEE = {grantee} AND {schema} LIKE TABLE_SCHEMA GROUP BY TABLE_SCHEMA"
        );
        let of_schema = session.rows(&of_schema_sql).await?;
        let of_table = format!(
            "SELECT COUNT(*) FROM information_schema.TABLE_PRIVILEGES WHERE GRANTEE = {grantee} \
             AND TABLE_SCHEMA = {schema} AND TABLE_NAME = {table} AND PRIVILEGE_TYPE = 'TRIGGER'"
        );
        let by_schema = !of_schema.is_empty() && of_schema.iter().all(|row| cell(row, 1) == "1");
        let sees_triggers = by_schema || session.rows(&of_table).await?.first().is_some_and(|row| cell(row, 0) != "0");
        Ok(Self { sees_triggers, sees_foreign_keys: false })
    }
}

/// Whether InnoDB's dictionary, which needs the privilege PROCESS, has no foreign key to the table.
async fn is_known_to_be_unreferenced(session: &mut Session, name: &TableName) -> Result<bool> {
    // The dictionary encodes other characters.
    let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !plain(&name.schema) || !plain(&name.table) {
        return Ok(false);
    }
    let view = if session.facts().mariadb { "INNODB_SYS_FOREIGN" } else { "INNODB_FOREIGN" };
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.{view} WHERE LOWER(REF_NAME) = LOWER({})",
        text(&format!("{}/{}", name.schema, name.table))
    );
    match session.rows(&sql).await {
        Ok(rows) => Ok(rows.first().is_some_and(|row| cell(row, 0) == "0")),
        Err(error) if error.kind() == osiris_core::ErrorKind::Permission => Ok(false),
        Err(error) => Err(error),
    }
}
