//! Owns when a page of a list ends. Never looks at a row.

use super::Page;

/// A page that is being filled.
pub(super) struct Filling<T, P> {
    items: Vec<T>,
    /// The last row that was looked at and, if it is shown, taken.
    last: Option<P>,
    limit: usize,
    room: usize,
    scan: usize,
}

/// Bytes of a row that is not shown which cost as much as looking at one more.
const ROW_BYTES: usize = 4 << 10;

impl<T, P> Filling<T, P> {
    pub(super) fn new(limit: usize, room: usize, scan: usize) -> Self {
        Self { items: Vec::new(), last: None, limit, room, scan }
    }

    /// Whether enough rows have been looked at.
    pub(super) fn is_spent(&self) -> bool {
        self.scan == 0 && self.last.is_some()
    }

    /// Takes one more item, unless the page is full.
    pub(super) fn takes(&mut self, weight: usize, item: T) -> bool {
        let is_first = self.items.is_empty();
        if self.items.len() == self.limit || (weight > self.room && !is_first) {
            return false;
        }
        self.room = self.room.saturating_sub(weight);
        self.items.push(item);
        true
    }

    /// Goes on to the next row; `read` bytes of this one were not shown.
    pub(super) fn passes(&mut self, position: P, read: usize) {
        self.last = Some(position);
        self.scan = self.scan.saturating_sub(1 + read / ROW_BYTES);
    }

    /// The page, where more may follow.
    pub(super) fn cut(self) -> Page<T, P> {
        Page { items: self.items, next: self.last }
    }

    /// The last page.
    pub(super) fn end(self) -> Page<T, P> {
        Page { items: self.items, next: None }
    }
}
