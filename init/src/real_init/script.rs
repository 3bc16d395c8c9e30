//! Scripts, as the kernel reads their first line.

/// BINPRM_BUF_SIZE: what the kernel looks at of a `#!` line.
pub const LONGEST_SCRIPT_LINE: usize = 256;

/// The interpreter that the kernel finds in the first 256 bytes of a script (`load_script` of `fs/binfmt_script.c`): blanks and tabs may be
/// around it, and everything else belongs to its name, as the `\r` of Windows does.
pub fn script_interpreter(head: &[u8]) -> Option<String> {
    let mut line: Vec<u8> = head.iter().copied().take(LONGEST_SCRIPT_LINE).collect();
    // The rest of the kernel's buffer is zero.
    line.resize(LONGEST_SCRIPT_LINE, 0);
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let ends = |byte: &u8| blank(byte) || *byte == 0;
    let newline =
        line.iter().position(|byte| matches!(byte, b'\n' | 0)).filter(|at| line.get(*at) == Some(&b'\n'));
    let text = line.get(2..newline.unwrap_or(LONGEST_SCRIPT_LINE))?;
    let name = text.get(text.iter().position(|byte| !blank(byte))?..)?;
    let end = name.iter().position(ends);
    // A name that goes on where the kernel does not look is not used cut off.
    let end = if newline.is_none() { end? } else { end.unwrap_or(name.len()) };
    name.get(..end).and_then(|name| std::str::from_utf8(name).ok()).map(str::to_owned)
}
