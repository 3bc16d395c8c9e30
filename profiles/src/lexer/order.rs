//! The order of the tokens: what makes a node out of them.
//!
//! Where the order is wrong `kdl` looks for the next node character by character, also within strings, and what it takes for
//! nodes there, which nothing has counted, can cost it exponential time.

/// A token, as far as the order is concerned. Spaces and comments are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Newline,
    Semicolon,
    Equals,
    Open,
    Close,
    Slashdash,
    /// A bare word or a string: what a node and a property can be called.
    Text,
    /// A number, `#true` and its kin.
    Value,
    End,
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// A node, or the end of the block.
    Node,
    /// More of a node, or its end.
    Entry,
    /// The same, or the `=` of a property.
    EntryOrEquals,
    /// The value of a property.
    Value,
    /// The end of a node, or another block.
    End,
}

/// The state between two tokens.
#[derive(Debug)]
pub(super) struct Order {
    next: Next,
    /// A `/-` waits for what it takes out.
    slashdash: bool,
    /// Whether a `/-` takes out the node that has begun, after the same for each node around it.
    taken_out: Vec<bool>,
}

impl Order {
    pub(super) fn new() -> Self {
        Self { next: Next::Node, slashdash: false, taken_out: vec![false] }
    }

    /// Takes one more token.
    ///
    /// # Errors
    /// What is wrong with it at this place, and what helps.
    pub(super) fn take(&mut self, token: Token) -> Result<(), (&'static str, &'static str)> {
        if self.slashdash {
            match token {
                // Also further down.
                Token::Newline => return Ok(()),
                Token::Text | Token::Value | Token::Open => {}
                _ => {
                    return Err((
                        "'/-' takes nothing out here",
                        "remove it, or put it before what shall not count",
                    ));
                }
            }
        }
        let before = std::mem::replace(&mut self.slashdash, token == Token::Slashdash);
        match token {
            Token::Text if self.next == Next::Node => self.take_out(before),
            Token::Semicolon if self.taken_out.last() == Some(&true) => {
                // A rule of `kdl` 6.7, not of KDL.
                return Err(("';' cannot end a node that '/-' takes out", "start a new line in its place"));
            }
            Token::Open => self.taken_out.push(false),
            Token::Close => drop(self.taken_out.pop()),
            _ => {}
        }
        self.next = match (self.next, token) {
            (Next::Node, Token::Newline | Token::Slashdash | Token::End) => Next::Node,
            (Next::Node, Token::Text) => Next::Entry,
            (Next::Node, Token::Close) => Next::End,
            (Next::Node, Token::Semicolon) => return Err(("';' without a node before it", "remove it")),
            (Next::Node, Token::Open) => {
                return Err(("a block without a node before it", "write the node's name before its '{'"));
            }
            (Next::Node, Token::Value) => {
                return Err((
                    "a node cannot be called so",
                    "a node begins with its name; quote it to mean a text",
                ));
            }
            (Next::Value, Token::Text | Token::Value) => Next::Entry,
            (Next::Value, _) => return Err(("the value behind '=' is missing", "a property is name=value")),
            (Next::EntryOrEquals, Token::Equals) => Next::Value,
            (Next::End, Token::Text | Token::Value | Token::Equals) => {
                return Err(("text after the end of a block", "start a new line after '}'"));
            }
            (Next::End, Token::Slashdash) => Next::End,
            (_, Token::Equals) => {
                return Err((
                    "'=' without a property's name before it",
                    "a property is name=value, behind the node's name",
                ));
            }
            (_, Token::Text) => Next::EntryOrEquals,
            (_, Token::Value | Token::Slashdash) => Next::Entry,
            (_, Token::Close) => Next::End,
            (_, Token::Newline | Token::Semicolon | Token::Open | Token::End) => Next::Node,
        };
        Ok(())
    }

    /// Whether the node that begins counts.
    fn take_out(&mut self, slashdash: bool) {
        if let Some(node) = self.taken_out.last_mut() {
            *node = slashdash;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;

    #[test]
    fn what_makes_no_nodes_is_refused_where_it_stands() {
        for (text, at, message) in [
            (";", 0, "';' without a node before it"),
            ("a;;", 2, "';' without a node before it"),
            ("a {;}", 3, "';' without a node before it"),
            ("a\n{}", 2, "a block without a node before it"),
            ("/- {}", 3, "a block without a node before it"),
            ("12 a", 0, "a node cannot be called so"),
            ("#true", 0, "a node cannot be called so"),
            ("a=1", 1, "'=' without a property's name before it"),
            ("a 1=2", 3, "'=' without a property's name before it"),
            ("a b=c=d", 5, "'=' without a property's name before it"),
            ("a b==c", 4, "the value behind '=' is missing"),
            ("a b=\n", 4, "the value behind '=' is missing"),
            ("a {b c=}", 7, "the value behind '=' is missing"),
            ("a b=", 4, "the value behind '=' is missing"),
            ("a b=/-c", 4, "the value behind '=' is missing"),
            ("a /-", 4, "'/-' takes nothing out here"),
            ("a /- /- b", 5, "'/-' takes nothing out here"),
            ("a { /-}", 6, "'/-' takes nothing out here"),
            ("/- a; b", 4, "';' cannot end a node that '/-' takes out"),
            ("/- a { b; }; c", 11, "';' cannot end a node that '/-' takes out"),
            ("a { } /- 1", 9, "text after the end of a block"),
        ] {
            let fault = check(text).expect_err(text);
            assert_eq!((fault.start, fault.message.as_str()), (at, message), "{text}");
        }
    }

    /// Each of them is a document of `kdl` too.
    #[test]
    fn what_makes_nodes_passes() {
        for text in [
            "",
            "a",
            "a;",
            "a; b\nc",
            "\"a b\" c",
            "a b = c \"d\"=#true 1",
            "a {b}",
            "a {b;}\n",
            "a { b { c }; d }",
            "/- a b=1 {\n}\n/-\nb",
            "a /- b c /-d=1 /-{ e } { f }",
            "a b \\\n  c=1 \\ // comment\r\n  d",
            "a \\\r\n b=2",
            "a b /* c */ = 1",
        ] {
            let checked = check(text).map_err(|fault| fault.message);
            let parsed = checked.as_deref().map(|text| kdl::KdlDocument::parse_v2(text).is_ok());
            assert_eq!(parsed, Ok(true), "{text:?}");
        }
    }
}
