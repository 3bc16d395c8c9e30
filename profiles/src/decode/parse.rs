//! From bytes to a tree of nodes.

use std::sync::Arc;

use kdl::{KdlError, KdlNode};

use super::lexer::{self, Fault, LARGEST};
use crate::{Diagnostics, Source, Span};

/// The text is parsed as the block of this node: unlike a document, a node that goes wrong does not make `kdl` recurse.
const WRAPPER: (&str, &str) = ("- {\n", "\n}");

/// Parses `bytes`; the nodes of the text are the children of the returned node.
pub(super) fn document(label: &str, bytes: &[u8]) -> Result<(Arc<Source>, KdlNode), Diagnostics> {
    if bytes.len() > LARGEST {
        let source = Source::new(label, String::new());
        let message = format!("the file has {} bytes, the limit is {LARGEST}", bytes.len());
        return Err(Span::new(&source, 0, 0).error(message, "is this the right file?").into());
    }
    let source = Source::new(label, String::from_utf8_lossy(bytes).into_owned());
    if let Err(error) = std::str::from_utf8(bytes) {
        // The replaced text equals the bytes up to the first wrong one.
        let at = error.valid_up_to();
        let message = format!("byte {} of the file is not UTF-8 (0x{:02x})", at + 1, bytes[at]);
        return Err(Span::new(&source, at, at + 1).error(message, "save the file as UTF-8").into());
    }
    let checked = lexer::check(source.text())
        .map_err(|Fault { start, end, message, help }| Span::new(&source, start, end).error(message, help))?;
    let wrapped = format!("{}{checked}{}", WRAPPER.0, WRAPPER.1);
    match KdlNode::parse(&wrapped) {
        Ok(node) => Ok((source, node)),
        Err(error) => Err(translate(&source, &error)),
    }
}

/// A span of the wrapped text as start and end in the text itself.
pub(super) fn span(offset: usize, length: usize) -> (usize, usize) {
    (offset.saturating_sub(WRAPPER.0.len()), (offset + length).saturating_sub(WRAPPER.0.len()))
}

/// The parser's own errors as ours.
fn translate(source: &Arc<Source>, error: &KdlError) -> Diagnostics {
    let errors = error.diagnostics.iter().map(|diagnostic| {
        let (start, end) = span(diagnostic.span.offset(), diagnostic.span.len());
        let message = diagnostic.message.clone().unwrap_or_else(|| "this is not KDL 2.0".to_owned());
        let help = diagnostic.help.clone().unwrap_or_default();
        Span::new(source, start, end).error(message, help)
    });
    let mut errors: Vec<_> = errors.collect();
    errors.sort_by_key(crate::Diagnostic::position);
    let first = errors.into_iter().next();
    first.unwrap_or_else(|| Span::new(source, 0, 0).error("this is not KDL 2.0", "")).into()
}
