//! Owns the last batch number of each relay, once the records that said it are gone from the journal.
//! Never forgets one: a batch that is sent again must be known for ever.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use domain::parse_ulid;
use ulid::Ulid;

use super::{OpenError, RelayBatch};
use crate::disk;

const FIRST_LINE: &str = "annals relays 1";

/// Writes the last batch of every relay, durably.
pub(super) fn write(dir: &Path, relays: &HashMap<Ulid, u64>) -> io::Result<()> {
    let mut lines: Vec<_> = relays.iter().map(|(relay, last)| format!("{relay} {last}\n")).collect();
    lines.sort_unstable();
    let body = format!("{FIRST_LINE}\n{}", lines.concat());
    let crc = crc32c::crc32c(body.as_bytes());
    disk::create_durably(&path_in(dir), format!("{body}crc32c {crc:08x}\n").as_bytes())
}

/// The last batch of every relay, as it was when the journal was last cut.
pub(super) fn read(dir: &Path) -> Result<Vec<RelayBatch>, OpenError> {
    let path = path_in(dir);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(OpenError::io(&path)(error)),
    };
    parse(&text).ok_or(OpenError::Damaged { path, position: 0 })
}

fn parse(text: &str) -> Option<Vec<RelayBatch>> {
    let (body, crc) = text.rsplit_once("crc32c ")?;
    if u32::from_str_radix(crc.strip_suffix('\n')?, 16).ok()? != crc32c::crc32c(body.as_bytes()) {
        return None;
    }
    let lines = body.strip_prefix(FIRST_LINE)?.strip_prefix('\n')?.lines();
    let batch = |line: &str| {
        let (relay, number) = line.split_once(' ')?;
        Some(RelayBatch { relay: parse_ulid("relay", relay).ok()?, number: number.parse().ok()? })
    };
    lines.map(batch).collect()
}

fn path_in(dir: &Path) -> PathBuf {
    dir.join("relays")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back_as_written_and_damage_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), []);
        write(dir.path(), &HashMap::from([(Ulid(7), 3)])).unwrap();
        assert_eq!(read(dir.path()).unwrap(), [RelayBatch { relay: Ulid(7), number: 3 }]);
        let text = fs::read_to_string(path_in(dir.path())).unwrap();
        fs::write(path_in(dir.path()), text.replace(" 3\n", " 4\n")).unwrap();
        assert!(matches!(read(dir.path()), Err(OpenError::Damaged { .. })));
    }
}
