//! Checks every token of a text before `kdl` parses it.
//!
//! `kdl` 6.7 recurses once for each nested block, for each piece of a block comment and for most errors it recovers
//! from, and takes exponential time on nested `/-`: hostile input could overflow the stack of PID 1. So the text is
//! first read once, without recursion: size, nesting, tokens and their order are checked, and block comments and what `/-`
//! takes out are blanked.
//! What passes has nothing left that `kdl` would have to recover from.
//! Grammar: KDL 2.0.0, <https://kdl.dev/spec/>.

use order::{Order, Token};
use strings::string;
use taken_out::TakenOut;

mod number;
mod order;
mod strings;
mod taken_out;

/// Largest text, in bytes.
pub const LARGEST: usize = 1 << 20;
/// Deepest nesting of blocks and of block comments.
pub(crate) const DEEPEST: usize = 32;

/// What is wrong with the bytes `start..end` of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) message: String,
    pub(crate) help: String,
}

/// Makes a [`Fault`].
fn fault<T>(start: usize, end: usize, message: impl Into<String>, help: &str) -> Result<T, Fault> {
    Err(Fault { start, end, message: message.into(), help: help.to_owned() })
}

/// Checks `text` and returns it with block comments, what `/-` takes out and a byte order mark turned into as many spaces.
///
/// # Errors
/// The first token that KDL 2.0 or a limit refuses.
pub(crate) fn check(text: &str) -> Result<String, Fault> {
    let mut lexer = Lexer {
        text,
        at: 0,
        blanks: Vec::new(),
        blocks: Vec::new(),
        taken_out: TakenOut::default(),
        last_end: 0,
        order: Order::new(),
    };
    if text.starts_with('\u{feff}') {
        lexer.blank(0, '\u{feff}'.len_utf8());
    }
    while let Some(c) = lexer.peek() {
        lexer.token(c)?;
    }
    lexer.next_is(Token::End)?;
    if let Some(&open) = lexer.blocks.last() {
        return fault(open, open + 1, "this block is not closed", "add the missing '}'");
    }
    let mut bytes = text.as_bytes().to_vec();
    for (start, end) in lexer.blanks {
        bytes[start..end].fill(b' ');
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// KDL's newlines, CR LF aside.
pub(crate) fn is_newline(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{b}' | '\u{c}' | '\u{2028}' | '\u{2029}')
}

/// KDL's spaces.
pub(crate) fn is_space(c: char) -> bool {
    matches!(
        c,
        '\t' | ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

/// The characters that may stand in no KDL text, not even in a comment.
fn is_forbidden(c: char) -> bool {
    matches!(c, '\0'..='\u{8}' | '\u{e}'..='\u{1f}' | '\u{7f}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A character of a bare word or number.
fn is_word(c: char) -> bool {
    !is_space(c) && !is_newline(c) && !is_forbidden(c) && !"\\/(){};[]\"#=".contains(c)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Stretches to turn into spaces.
    blanks: Vec<(usize, usize)>,
    /// Where each open block opened.
    blocks: Vec<usize>,
    taken_out: TakenOut,
    /// Where the last token ended; newlines and `/-` aside.
    last_end: usize,
    order: Order,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn blank(&mut self, start: usize, end: usize) {
        self.blanks.push((start, end));
        self.at = end;
    }

    /// Moves over the characters for which `belongs` holds.
    fn skip(&mut self, belongs: impl Fn(char) -> bool) {
        self.at += self.rest().find(|c| !belongs(c)).unwrap_or(self.rest().len());
    }

    /// Whether the token that starts here may stand here.
    fn next_is(&mut self, token: Token) -> Result<(), Fault> {
        let end = self.at + self.peek().map_or(0, char::len_utf8);
        self.order.take(token).or_else(|(message, help)| fault(self.at, end, message, help))?;
        self.blanks.extend(self.taken_out.token(token, self.at, self.blocks.len(), self.last_end));
        Ok(())
    }

    /// Checks the token that starts with `c` and moves behind it.
    fn token(&mut self, c: char) -> Result<(), Fault> {
        let start = self.at;
        match c {
            _ if is_space(c) => self.at += c.len_utf8(),
            _ if is_newline(c) => self.sign(Token::Newline, c)?,
            ';' => self.sign(Token::Semicolon, c)?,
            '=' => self.sign(Token::Equals, c)?,
            '{' => self.open()?,
            '}' => self.close()?,
            '"' => {
                self.next_is(Token::Text)?;
                self.string(0)?;
            }
            '#' => self.hash()?,
            '/' => self.slash()?,
            '\\' => self.line_continuation()?,
            '(' | ')' => {
                return fault(
                    start,
                    start + 1,
                    "a type annotation, '(type)', has no meaning here",
                    "remove it, or quote the text",
                );
            }
            '[' | ']' => {
                return fault(
                    start,
                    start + 1,
                    format!("KDL has no '{c}'"),
                    "write several values side by side, or quote the text",
                );
            }
            _ if is_forbidden(c) => return forbidden(start, c),
            _ => self.word()?,
        }
        if !is_space(c) && !is_newline(c) && !matches!(c, '/' | '\\') {
            self.last_end = self.at;
        }
        Ok(())
    }

    /// A token of one character.
    fn sign(&mut self, token: Token, c: char) -> Result<(), Fault> {
        self.next_is(token)?;
        self.at += c.len_utf8();
        Ok(())
    }

    /// A bare word or a number.
    fn word(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let length = self.rest().find(|c| !is_word(c)).unwrap_or(self.rest().len());
        let is_number = number::looks_like(&self.text[start..start + length]);
        self.next_is(if is_number { Token::Value } else { Token::Text })?;
        self.at += length;
        let word = &self.text[start..self.at];
        if ["true", "false", "null", "nan", "inf", "-inf"].contains(&word) {
            return fault(
                start,
                self.at,
                format!("'{word}' without '#'"),
                "write it with a '#' before it, or quote it to mean the text",
            );
        }
        if is_number && !number::is(word) {
            let help = "quote it to mean a text; a number is like 42, -1.5, 1e9, 1_000 or 0xff";
            return fault(start, self.at, "this starts like a number and is none", help);
        }
        self.ends(start, "word")
    }

    /// Refuses a token that runs into the next one.
    fn ends(&self, start: usize, what: &str) -> Result<(), Fault> {
        match self.peek() {
            Some(c @ ('"' | '#')) => fault(
                self.at,
                self.at + 1,
                format!("'{c}' directly after a {what}"),
                "put a space between, or quote the whole text",
            ),
            Some('/') if !["//", "/*", "/-"].iter().any(|sign| self.rest().starts_with(sign)) => {
                fault(start, self.at + 1, "a text with '/' must be quoted", "put it between double quotes")
            }
            Some(c) if is_word(c) => {
                fault(self.at, self.at + 1, format!("text directly after a {what}"), "put a space between")
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self) -> Result<(), Fault> {
        if self.blocks.len() == DEEPEST {
            let message = format!("blocks are nested more than {DEEPEST} deep");
            return fault(
                self.at,
                self.at + 1,
                message,
                "no profile or recipe needs that; look for a missing '}'",
            );
        }
        self.next_is(Token::Open)?;
        self.blocks.push(self.at);
        self.at += 1;
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        if self.blocks.pop().is_none() {
            return fault(
                self.at,
                self.at + 1,
                "'}' without a block to close",
                "remove it, or add the missing '{'",
            );
        }
        self.next_is(Token::Close)?;
        self.at += 1;
        Ok(())
    }

    /// A string with `hashes` hash signs, the first quote being next.
    fn string(&mut self, hashes: usize) -> Result<(), Fault> {
        let start = self.at - hashes;
        self.at = string(self.text, self.at, hashes)?;
        self.ends(start, "string")
    }

    /// `#true` and its kin, or a raw string.
    fn hash(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let hashes = self.rest().bytes().take_while(|b| *b == b'#').count();
        let is_string = self.rest()[hashes..].starts_with('"');
        self.next_is(if is_string { Token::Text } else { Token::Value })?;
        self.at += hashes;
        if is_string {
            return self.string(hashes);
        }
        let word_start = self.at;
        self.skip(is_word);
        let word = &self.text[word_start..self.at];
        if hashes != 1 || !["true", "false", "null", "nan", "inf", "-inf"].contains(&word) {
            let help = "'#' starts #true, #false, #null or a raw string; a comment starts with '//'";
            return fault(start, self.at, "unknown word after '#'", help);
        }
        self.ends(start, "keyword")
    }

    /// A comment or a `/-`.
    fn slash(&mut self) -> Result<(), Fault> {
        let start = self.at;
        if self.rest().starts_with("//") {
            return self.line_comment();
        }
        if self.rest().starts_with("/*") {
            return self.block_comment();
        }
        if !self.rest().starts_with("/-") {
            return fault(start, start + 1, "a text with '/' must be quoted", "put it between double quotes");
        }
        let node = self.order.expects_node();
        self.next_is(Token::Slashdash)?;
        self.taken_out.begin(start, self.blocks.len(), node);
        self.at += 2;
        Ok(())
    }

    fn line_comment(&mut self) -> Result<(), Fault> {
        let start = self.at;
        self.skip(|c| !is_newline(c));
        refuse_forbidden(self.text, start, self.at)
    }

    /// Block comments nest; all of it becomes spaces.
    fn block_comment(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let (mut depth, mut at) = (0, start);
        loop {
            let rest = &self.text[at..];
            at += match rest.find(['*', '/']).map(|i| (i, &rest[i..])) {
                None => return fault(start, start + 2, "this comment is not closed", "add the missing '*/'"),
                Some((i, rest)) if rest.starts_with("/*") => {
                    depth += 1;
                    i + 2
                }
                Some((i, rest)) if rest.starts_with("*/") => {
                    depth -= 1;
                    i + 2
                }
                Some((i, _)) => i + 1,
            };
            if depth == 0 {
                break;
            }
        }
        refuse_forbidden(self.text, start, at)?;
        self.blank(start, at);
        Ok(())
    }

    /// A backslash, then spaces and comments, then the end of the line.
    fn line_continuation(&mut self) -> Result<(), Fault> {
        let start = self.at;
        self.at += 1;
        loop {
            self.skip(is_space);
            if self.rest().starts_with("/*") {
                self.block_comment()?;
            } else {
                break;
            }
        }
        if self.rest().starts_with("//") {
            self.line_comment()?;
        }
        match self.peek() {
            // The line goes on, so that this is no token.
            Some('\r') if self.rest().starts_with("\r\n") => self.at += 2,
            Some(c) if is_newline(c) => self.at += c.len_utf8(),
            Some(_) => {
                let help = "a backslash joins a line to the next only at its end; elsewhere quote the text";
                return fault(start, start + 1, "a backslash inside a line", help);
            }
            None => {}
        }
        Ok(())
    }
}

/// Refuses the first forbidden character in `start..end`.
fn refuse_forbidden(text: &str, start: usize, end: usize) -> Result<(), Fault> {
    match text[start..end].char_indices().find(|(_, c)| is_forbidden(*c)) {
        Some((at, c)) => forbidden(start + at, c),
        None => Ok(()),
    }
}

fn forbidden(at: usize, c: char) -> Result<(), Fault> {
    let message = format!("the character U+{:04X} may not stand in a KDL text", u32::from(c));
    fault(at, at + c.len_utf8(), message, "remove it, or write it as an escape in a quoted string")
}
