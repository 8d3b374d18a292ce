//! Reads JSON text. Linear in its length but for the sorting of large objects' keys; recursion ends at the depth limit.

use std::{borrow::Cow, iter};

use super::{Error, Json, MAX_DEPTH, MAX_DIGITS, MAX_EXPONENT};

/// The value that `text` says.
///
/// RFC 8259, stricter: refuses repeated keys, NUL also as `\u0000`, lone surrogates, arrays and objects nested
/// deeper than [`MAX_DEPTH`], numbers of more than [`MAX_DIGITS`] digits or an exponent beyond ±[`MAX_EXPONENT`].
pub fn parse(text: &str) -> Result<Json, Error> {
    parse_to_depth(text, MAX_DEPTH)
}

/// As [`parse`], with another depth limit.
pub fn parse_to_depth(text: &str, max_depth: usize) -> Result<Json, Error> {
    let mut parser = Parser { text, offset: 0, depth: 0, max_depth };
    parser.skip_space();
    let value = parser.value()?;
    parser.skip_space();
    match parser.peek() {
        None => Ok(value),
        Some(_) => parser.refuse("must be one JSON value, with nothing after it"),
    }
}

struct Parser<'a> {
    text: &'a str,
    offset: usize,
    depth: usize,
    max_depth: usize,
}

impl Parser<'_> {
    fn value(&mut self) -> Result<Json, Error> {
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => Ok(Json::Number(self.number()?)),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            _ => self.refuse("must be JSON: a value is missing"),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Json, Error>) -> Result<Json, Error> {
        if self.depth == self.max_depth {
            return self.refuse(format!("must be nested at most {} deep", self.max_depth));
        }
        self.depth += 1;
        self.offset += 1;
        self.skip_space();
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn array(&mut self) -> Result<Json, Error> {
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value()?);
            self.skip_space();
            if self.take(b']') {
                return Ok(Json::Array(items));
            }
            self.expect(b',', "must be JSON: , or ] is missing")?;
            self.skip_space();
        }
    }

    fn object(&mut self) -> Result<Json, Error> {
        let start = self.offset;
        let mut members = Vec::new();
        if self.take(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            if self.peek() != Some(b'"') {
                return self.refuse("must be JSON: a key in quotes is missing");
            }
            let key = self.string()?;
            self.skip_space();
            self.expect(b':', "must be JSON: : is missing")?;
            self.skip_space();
            members.push((key, self.value()?));
            self.skip_space();
            if self.take(b'}') {
                break;
            }
            self.expect(b',', "must be JSON: , or } is missing")?;
            self.skip_space();
        }
        if let Some(key) = repeated_key(&members) {
            let shown: String = key.chars().take(64).collect();
            return Err(Error {
                rule: format!("must not repeat the key {shown:?} in an object").into(),
                offset: start,
            });
        }
        Ok(Json::Object(members))
    }

    fn string(&mut self) -> Result<Box<str>, Error> {
        self.offset += 1;
        let mut unescaped = String::new();
        let mut uncopied = self.offset;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let rest = &self.text[uncopied..self.offset];
                    self.offset += 1;
                    if unescaped.is_empty() {
                        return Ok(rest.into());
                    }
                    unescaped.push_str(rest);
                    return Ok(unescaped.into());
                }
                Some(b'\\') => {
                    unescaped.push_str(&self.text[uncopied..self.offset]);
                    unescaped.push(self.escape()?);
                    uncopied = self.offset;
                }
                Some(..b' ') => return self.refuse("must be JSON: a control character in a string must be escaped"),
                Some(_) => self.offset += 1,
                None => return self.refuse("must be JSON: a string has no end"),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Error> {
        self.offset += 1;
        let unescaped = match self.peek() {
            Some(plain @ (b'"' | b'\\' | b'/')) => char::from(plain),
            Some(b'b') => '\x08',
            Some(b'f') => '\x0c',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return self.refuse("must be JSON: an escape in a string is unknown"),
        };
        self.offset += 1;
        Ok(unescaped)
    }

    fn unicode_escape(&mut self) -> Result<char, Error> {
        let start = self.offset;
        let refuse = |rule: &'static str| Err(Error { rule: rule.into(), offset: start });
        let first = self.code_unit()?;
        if first == 0 {
            return refuse("must not contain \\u0000");
        }
        let mut second = None;
        if (0xd800..0xdc00).contains(&first) && self.text[self.offset..].starts_with("\\u") {
            self.offset += 1;
            second = Some(self.code_unit()?);
        }
        match char::decode_utf16(iter::once(first).chain(second)).next() {
            Some(Ok(character)) => Ok(character),
            _ => refuse("must not contain half a surrogate pair"),
        }
    }

    /// The four hexadecimal digits after a `u`.
    fn code_unit(&mut self) -> Result<u16, Error> {
        self.offset += 1;
        let mut unit = 0;
        for _ in 0..4 {
            let Some(digit) = self.peek().and_then(|byte| char::from(byte).to_digit(16)) else {
                return self.refuse("must be JSON: \\u in a string needs four hexadecimal digits");
            };
            unit = unit << 4 | digit as u16;
            self.offset += 1;
        }
        Ok(unit)
    }

    fn number(&mut self) -> Result<Box<str>, Error> {
        let start = self.offset;
        let too_long =
            || Error { rule: format!("must have numbers of at most {MAX_DIGITS} digits").into(), offset: start };
        self.take(b'-');
        let mut digits = if self.take(b'0') { 1 } else { self.digits()? };
        if self.take(b'.') {
            digits += self.digits()?;
        }
        if digits > MAX_DIGITS {
            return Err(too_long());
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            let exponent_start = self.offset;
            if self.digits()? > MAX_DIGITS {
                return Err(too_long());
            }
            let exponent = &self.text[exponent_start..self.offset];
            if exponent.parse().map_or(true, |exponent: u32| exponent > MAX_EXPONENT) {
                let rule = format!("must have numbers with an exponent within ±{MAX_EXPONENT}");
                return Err(Error { rule: rule.into(), offset: start });
            }
        }
        Ok(self.text[start..self.offset].into())
    }

    /// Skips one or more digits and counts them.
    fn digits(&mut self) -> Result<usize, Error> {
        let start = self.offset;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.offset += 1;
        }
        if self.offset == start {
            return self.refuse("must be JSON: a digit is missing in a number");
        }
        Ok(self.offset - start)
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, Error> {
        if !self.text.as_bytes()[self.offset..].starts_with(word.as_bytes()) {
            return self.refuse("must be JSON: a value is missing");
        }
        self.offset += word.len();
        Ok(value)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.offset += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.offset).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.offset += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, byte: u8, rule: &'static str) -> Result<(), Error> {
        if self.take(byte) { Ok(()) } else { self.refuse(rule) }
    }

    fn refuse<T>(&self, rule: impl Into<Cow<'static, str>>) -> Result<T, Error> {
        Err(Error { rule: rule.into(), offset: self.offset })
    }
}

/// A key that occurs twice.
fn repeated_key(members: &[(Box<str>, Json)]) -> Option<&str> {
    let mut keys: Vec<&str> = members.iter().map(|(key, _)| &**key).collect();
    keys.sort_unstable();
    keys.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}
