//! Owns what an archive in a bucket is told by: its URL, and where it is. Never a secret.

use std::{fmt, str::FromStr};

use serve::config::Setting;

/// Where the files of the archive are: `s3://bucket/prefix`, or `s3://bucket`, which has the bucket for itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArchiveUrl {
    bucket: Box<str>,
    prefix: Box<str>,
}

/// What speaks S3: `https://host:port`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint(Box<str>);

impl ArchiveUrl {
    /// The name of the bucket.
    pub(crate) fn bucket(&self) -> &str {
        &self.bucket
    }

    /// What the keys of all files begin with, without a slash at its end; may be empty.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The URL of the bucket.
    pub(crate) fn root(&self) -> String {
        format!("s3://{}", self.bucket)
    }
}

impl FromStr for ArchiveUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rule = |what: &str| format!("`{text}` is not s3://BUCKET/PREFIX: {what}");
        let rest = text.strip_prefix("s3://").ok_or_else(|| rule("it must begin with s3://"))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_bucket = (3..=63).contains(&bucket.len())
            && bucket.bytes().all(|byte| is_plain(byte) || byte == b'-' || byte == b'.')
            && bucket.bytes().next().is_some_and(is_plain);
        if !is_bucket {
            return Err(rule("a bucket has 3 to 63 of a-z, 0-9, hyphen and dot, and begins with a letter or digit"));
        }
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let is_segment = |segment: &str| {
            let is_taken = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.=".contains(&byte);
            !matches!(segment, "" | "." | "..") && segment.bytes().all(is_taken)
        };
        if !prefix.is_empty() && !prefix.split('/').all(is_segment) {
            return Err(rule("a prefix has segments of letters, digits and -_.= with slashes between"));
        }
        if prefix.len() > 512 {
            return Err(rule("a prefix has at most 512 bytes"));
        }
        Ok(Self { bucket: bucket.into(), prefix: prefix.into() })
    }
}

impl fmt::Display for ArchiveUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bucket, prefix } = self;
        if prefix.is_empty() { write!(f, "s3://{bucket}") } else { write!(f, "s3://{bucket}/{prefix}") }
    }
}

impl Setting for ArchiveUrl {
    const SHAPE: &'static str = "URL";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl Endpoint {
    /// Whether it is reached without TLS.
    pub(crate) fn is_http(&self) -> bool {
        self.0.starts_with("http://")
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.strip_suffix('/').unwrap_or(text);
        let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let is_host = |host: &str| {
            let is_taken = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
            !host.is_empty() && !host.starts_with(':') && host.bytes().all(is_taken)
        };
        let rule = "is not https://HOST or http://HOST, with a port if need be and nothing behind it";
        match authority {
            Some(authority) if is_host(authority) => Ok(Self(text.into())),
            // What is wrong may be a secret in it.
            _ => Err(format!("the endpoint {rule}")),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Setting for Endpoint {
    const SHAPE: &'static str = "URL";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_bucket_and_prefix() {
        let url: ArchiveUrl = "s3://my-bucket/team/a_1/".parse().unwrap();
        assert_eq!((url.bucket(), url.prefix()), ("my-bucket", "team/a_1"));
        assert_eq!((url.to_string().as_str(), url.root().as_str()), ("s3://my-bucket/team/a_1", "s3://my-bucket"));
        assert_eq!("s3://my-bucket".parse::<ArchiveUrl>().unwrap().to_string(), "s3://my-bucket");
        for (wrong, rule) in [
            ("/var/lib", "begin with s3://"),
            ("s3://", "a bucket has"),
            ("s3://My-Bucket/a", "a bucket has"),
            ("s3://bucket/../other", "a prefix has"),
            ("s3://bucket/a//b", "a prefix has"),
            ("s3://bucket/a b", "a prefix has"),
        ] {
            let error = wrong.parse::<ArchiveUrl>().unwrap_err();
            assert!(error.contains(wrong) && error.contains(rule), "{error}");
        }
    }

    #[test]
    fn an_endpoint_is_a_host_and_nothing_else() {
        assert!("http://127.0.0.1:9000".parse::<Endpoint>().unwrap().is_http());
        assert_eq!("https://s3.example.com/".parse::<Endpoint>().unwrap().to_string(), "https://s3.example.com");
        for wrong in ["127.0.0.1:9000", "https://", "ftp://a", "https://key:secret@host", "https://host/bucket"] {
            assert!(!wrong.parse::<Endpoint>().unwrap_err().contains("secret"), "{wrong}");
        }
    }
}
