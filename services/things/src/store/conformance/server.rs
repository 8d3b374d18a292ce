//! Owns the databases of the cases: each case has one, on a server of the process.

#[allow(dead_code, unreachable_pub, reason = "the harness has it too")]
#[path = "../../../../../tests/harness/backends.rs"]
mod backends;
#[allow(dead_code, unreachable_pub, reason = "the harness has it too")]
#[path = "../../../../../tests/harness/catalogs.rs"]
mod catalogs;

// What the harness's file is written with.
use serde_json as _;

/// The address of a database that nobody has used, on PostgreSQL of this version. Blocks.
pub(crate) fn fresh(version: u32) -> String {
    catalogs::fresh(&backends::python(), version)
}

/// The address of a database for its owner, who owns that and nothing else, and who may do anything on its server.
pub(crate) async fn owned() -> (String, sqlx::PgPool) {
    let url = tokio::task::spawn_blocking(|| fresh(18)).await.unwrap();
    let admin = sqlx::PgPool::connect(&url).await.unwrap();
    let database: String = sqlx::query_scalar("select current_database()").fetch_one(&admin).await.unwrap();
    // The roles are another owner's, on a server that has been migrated for before.
    let sql = format!(
        "create role {database}_owner login createrole; alter database {database} owner to {database}_owner;
        do $$ declare name text; begin
            foreach name in array array['annals_things', 'annals_relay'] loop
                begin execute format('create role %I nologin', name);
                exception when duplicate_object or unique_violation then null; end;
                execute format('grant %I to {database}_owner with admin true, set false', name);
            end loop;
        end $$"
    );
    sqlx::raw_sql(&sql).execute(&admin).await.unwrap();
    (url.replace("annals@", &format!("{database}_owner@")), admin)
}
