//! A real SQLite on the disk that forgets, killed again and again: what it committed with synchronous=FULL is there,
//! and with any sync of it left out the same loop sees losses.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use harness::disk::Disk;

use crate::scene::Scene;

const KILLS: u64 = 20;

/// Says how many rows it finds, then one line for each row that it has committed. The first start makes the table.
const PROGRAM: &str = "
import sqlite3
db = sqlite3.connect('rows.db', isolation_level=None)
db.execute('pragma journal_mode = wal')
db.execute(f'pragma synchronous = {SYNCHRONOUS}')
db.execute('pragma wal_autocheckpoint = 20')
db.execute('create table if not exists row (id integer primary key, text text)')
assert db.execute('pragma integrity_check').fetchone() == ('ok',)
last, count = db.execute('select coalesce(max(id), 0), count(*) from row').fetchone()
assert last == count
print(last, flush=True)
while True:
    last += 1
    db.execute('insert into row values (?, ?)', (last, f'{last}' * 100))
    print(last, flush=True)
";

/// The first start after which an acknowledged row was missing or the database was damaged, if any was.
fn first_loss(scene: &Scene, synchronous: &str) -> Option<u64> {
    let mut acknowledged = 0;
    for kill in 0..=KILLS {
        let mut command = scene.python(&format!("SYNCHRONOUS = '{synchronous}'\n{PROGRAM}"));
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut running = scene.disk.start(&mut command).expect("python3 starts");
        let lines = BufReader::new(running.stdout().expect("piped")).lines();
        let mut rows = lines.map(|line| line.expect("readable").parse::<u64>().expect("a number"));
        let found = rows.next();
        if found.is_none_or(|found| found < acknowledged) {
            return Some(kill);
        }
        // A different moment of checkpoint and log each time.
        acknowledged = rows.by_ref().nth(kill as usize * 7 % 40).expect("it goes on");
        running.kill().expect("killed");
        acknowledged = rows.last().unwrap_or(acknowledged);
        scene.disk.lose_power().expect("restored");
    }
    None
}

fn first_loss_on(knob: impl FnOnce(Disk) -> Disk, synchronous: &str) -> Option<u64> {
    first_loss(&Scene::with(&[]).on(knob), synchronous)
}

#[test]
fn every_row_committed_with_synchronous_full_survives() {
    assert_eq!(first_loss_on(|disk| disk, "full"), None);
}

#[test]
fn with_synchronous_normal_rows_are_lost() {
    assert_ne!(first_loss_on(|disk| disk, "normal"), None);
}

#[test]
fn without_a_sync_of_the_log_rows_are_lost() {
    assert_ne!(first_loss_on(|disk| disk.without_sync("file:*-wal"), "full"), None);
}

#[test]
fn without_a_sync_of_the_database_rows_are_lost() {
    assert_ne!(first_loss_on(|disk| disk.without_sync("file:*.db"), "full"), None);
}

#[test]
fn without_a_sync_of_the_directory_the_database_is_lost() {
    assert_ne!(first_loss_on(|disk| disk.without_sync("dir:."), "full"), None);
}
