//! Owns what a catalog's address may be. Never shows a secret in it.

use std::fmt;

use serve::config::Setting;
use sqlx::postgres::PgConnectOptions;

/// Where a catalog is.
#[derive(Clone)]
pub enum Address {
    /// A database with the tables of Iceberg's SQL catalogs.
    Postgres(Box<PgConnectOptions>),
    /// A server of Iceberg's REST protocol: what `/v1/config` is appended to.
    Rest(String),
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(options) => write!(f, "postgres://{}:{}", options.get_host(), options.get_port()),
            Self::Rest(url) => f.write_str(url),
        }
    }
}

impl Setting for Address {
    const SHAPE: &'static str = "URL";

    /// The error never repeats the text: there may be a password in it.
    fn from_text(text: &str) -> Result<Self, String> {
        match text.split_once("://").map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => {
                let options: PgConnectOptions =
                    text.parse().map_err(|_| "is not a URL such as postgres://user@host/database".to_owned())?;
                if options.get_database().is_none() {
                    return Err("must name a database, as in postgres://user@host/database".to_owned());
                }
                Ok(Self::Postgres(Box::new(options)))
            }
            Some("http" | "https") => {
                let url: reqwest::Url =
                    text.parse().map_err(|_| "is not a URL such as https://host/catalog".to_owned())?;
                if !url.username().is_empty() || url.password().is_some() {
                    return Err("must have no user and password: give --archive-catalog-token".to_owned());
                }
                if url.query().is_some() || url.fragment().is_some() {
                    return Err("must have no query: give --archive-catalog-warehouse".to_owned());
                }
                Ok(Self::Rest(text.trim_end_matches('/').trim_end_matches("/v1").to_owned()))
            }
            _ => Err("must begin with postgres://, http:// or https://".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_address_is_refused_with_the_rule_and_without_the_text() {
        for (text, rule) in [
            ("mysql://ada:geheim@host/db", "must begin with postgres://, http:// or https://"),
            ("geheim", "must begin with postgres://, http:// or https://"),
            ("postgres://ada:geheim@host:port/db", "is not a URL such as postgres://user@host/database"),
            ("postgres://ada:geheim@host", "must name a database, as in postgres://user@host/database"),
            ("http://", "is not a URL such as https://host/catalog"),
            ("https://ada:geheim@host", "must have no user and password: give --archive-catalog-token"),
            ("https://host/?warehouse=geheim", "must have no query: give --archive-catalog-warehouse"),
        ] {
            assert_eq!(Address::from_text(text).unwrap_err(), rule, "{text}");
        }
    }

    #[test]
    fn an_address_shows_no_secret() {
        let address = Address::from_text("postgres://ada:geheim@host:5433/db").unwrap();
        assert_eq!(format!("{address:?}"), "postgres://host:5433");
        assert_eq!(format!("{:?}", Address::from_text("https://host/catalog/v1/").unwrap()), "https://host/catalog");
    }
}
