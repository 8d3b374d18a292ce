//! A tenant before all others that has every name, with other styles, sights and ends, and more of everything than may be.

use domain::{Key, Name, Reference};
use sqlx::{Connection as _, PgConnection, Row as _};

use crate::delete::Dependents;
use crate::store::conformance::bed::name;
use crate::store::differential::operation::{NAMESPACES, RELATIONSHIPS, THINGS};
use crate::store::encoding::end_hash;

/// Before all other tenants in every index.
const TENANT: &str = "0";
/// Of a ULID from the year 2100.
const LATE: &str = "03bb2cc3d80000000000000000000000";

/// What it has, so that nobody takes or changes it.
pub(super) struct Crowd {
    url: String,
    marks: Vec<(i64, i64)>,
}

impl Crowd {
    /// Makes it as it is to be, whatever it has been.
    pub(super) async fn gather(url: &str) -> Self {
        let mut database = connect(url).await;
        for table in TABLES {
            run(&mut database, &format!("delete from {table} where tenant = '{TENANT}'")).await;
        }
        for ns in NAMESPACES {
            let style = if ns == "git/repos" { "wiki" } else { "literal" };
            run(&mut database, &format!("insert into namespaces values ('{TENANT}', '{ns}', '{style}', 0)")).await;
        }
        // Which almost nothing satisfies; the counts say nothing of them, so that nobody's write finds them by these.
        for ns in NAMESPACES {
            for thing_type in ["Note", "uses", "é"] {
                let sql = format!(
                    "insert into schemas values ('{TENANT}', '{ns}', '{thing_type}', '{{\"minProperties\":9}}', 0, 0)"
                );
                run(&mut database, &sql).await;
            }
        }
        for key in THINGS.iter().filter_map(|text| key(text)) {
            for variant in ["", "es", "fr"] {
                thing(&mut database, &Key { variant: variant.parse().unwrap_or_default(), ..key.clone() }).await;
            }
        }
        // Which a longer namespace would hide.
        for (kind, id) in [("thing", "git/below"), ("relationship", "git/below")] {
            run(&mut database, &remembered(kind, "onet", id, "")).await;
        }
        let [a, b] = ["onet:a", "onet:b"].map(|text| key(text).expect("a key").name());
        for key in RELATIONSHIPS.iter().filter_map(|text| key(text)) {
            let (ns, id) = (key.ns.as_str(), key.id.as_str());
            run(&mut database, &remembered("relationship", ns, id, "")).await;
            relationship(&mut database, &format!("'{ns}'"), &format!("'{id}'"), &a, &b, "(values (1)) n(n)").await;
        }
        let many = format!("generate_series(1, {}) n", Dependents::MAX_COUNT + 1);
        relationship(&mut database, "'onet'", "'from ' || n", &a, &b, &many).await;
        relationship(&mut database, "'onet'", "'to ' || n", &b, &a, &many).await;
        let variants = format!(
            "insert into things (tenant, ns, id, variant, type, visibility, created_at, etag)
            select '{TENANT}', 'onet', 'c', 'v' || n, 'Note', 'public', 0, '\\x{LATE}' from {many}"
        );
        run(&mut database, &variants).await;
        for number in 0..8 {
            let fresh = format!(
                "insert into requests values
                ('{TENANT}', 'somebody', 'request-{number}', '\\x00', '', 4102444800000), ('{TENANT}', 'old', '{number}', '', '', 0)"
            );
            run(&mut database, &fresh).await;
        }
        for number in 0..4 {
            let imports = format!(
                "insert into imports values
                ('{TENANT}', 'somebody', 'import-{number}', 3, 4102444800000), ('{TENANT}', 'old', '{number}', 3, 0)"
            );
            run(&mut database, &imports).await;
        }
        let marks = marks(&mut database).await;
        Self { url: url.to_owned(), marks }
    }

    pub(super) async fn is_untouched(&self) -> bool {
        marks(&mut connect(&self.url).await).await == self.marks
    }
}

const TABLES: [&str; 7] = ["namespaces", "schemas", "things", "relationships", "names", "requests", "imports"];

/// How many rows of each table it has, and who has written them last.
async fn marks(database: &mut PgConnection) -> Vec<(i64, i64)> {
    let mut marks = Vec::new();
    for table in TABLES {
        let sql = format!(
            "select count(*), coalesce(sum(xmin::text::bigint), 0)::bigint from {table} where tenant = '{TENANT}'"
        );
        let row = sqlx::query(&sql).fetch_one(&mut *database).await.unwrap();
        marks.push((row.get(0), row.get(1)));
    }
    marks
}

/// A public thing that is very large, where there is one of that key.
async fn thing(database: &mut PgConnection, key: &Key) {
    let Key { ns, id, variant } = key;
    let sql = format!(
        "insert into things (tenant, ns, id, variant, type, visibility, content, data, created_at, etag)
        values ('{TENANT}', '{ns}', '{}', '{}', 'Crowd', 'public', repeat('x', 1048576), '{{\"title\":\"Crowd\",\"n\":1}}', 0, '\\x{LATE}')
        on conflict do nothing",
        id.as_str(),
        variant.as_str()
    );
    run(database, &sql).await;
    run(database, &remembered("thing", ns.as_str(), id.as_str(), variant.as_str())).await;
}

fn remembered(kind: &str, ns: &str, id: &str, variant: &str) -> String {
    format!(
        "insert into names (tenant, kind, ns, id, variant, last, visibility)
        values ('{TENANT}', '{kind}', '{ns}', '{id}', '{variant}', '\\x{LATE}', 'public') on conflict do nothing"
    )
}

/// Relationships from one thing to another, one for each of `rows`.
async fn relationship(database: &mut PgConnection, ns: &str, id: &str, from: &Name, to: &Name, rows: &str) {
    let hex = |name: &Name| format!("{:032x}", u128::from_be_bytes(end_hash(name)));
    let sql = format!(
        "insert into relationships
            (tenant, ns, id, type, from_ns, from_id, from_hash, to_ns, to_id, to_hash, visibility, created_at, etag)
        select '{TENANT}', {ns}, {id}, 'crowds', '{}', '{}', '\\x{}', '{}', '{}', '\\x{}', 'public', 0, '\\x{LATE}'
        from {rows} on conflict do nothing",
        from.ns,
        from.id.as_str(),
        hex(from),
        to.ns,
        to.id.as_str(),
        hex(to)
    );
    run(database, &sql).await;
}

/// The key that a text spells, if it is no path.
fn key(text: &str) -> Option<Key> {
    let text = if text.contains(':') {
        text.to_owned()
    } else {
        text.rsplit_once('/').map(|(ns, id)| format!("{ns}:{id}"))?
    };
    let Reference::Parts { ns, id, variant } = name(&text) else { return None };
    Some(Key { ns, id: domain::Id::from_canonical(&id).ok()?, variant })
}

/// The tables of the database: their names, whether they have a tenant, are forced under row level security, and how many
/// policies they have.
pub(super) async fn tables(url: &str) -> Vec<(String, bool, bool, i64)> {
    let sql = "select c.relname,
            exists (select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant' and a.attnotnull),
            c.relrowsecurity and c.relforcerowsecurity,
            (select count(*) from pg_policy p where p.polrelid = c.oid)
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'public' and c.relkind in ('r', 'p')";
    let found = sqlx::query(sql).fetch_all(&mut connect(url).await).await.unwrap();
    found.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect()
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

async fn run(database: &mut PgConnection, sql: &str) {
    sqlx::query(sql).execute(database).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}
