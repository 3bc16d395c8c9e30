//! The tables of ARCHITECTURE.md that end in a column "may import": two about crates, by their folders, and one about single files.

use std::collections::BTreeSet;

use crate::finding::Finding;
use crate::workspace::Workspace;

/// What the page says.
#[derive(Debug, Default)]
pub struct Page {
    /// A row for each folder that holds a crate, and for some that hold none.
    pub folders: Vec<Row>,
    /// A row for each file that is named.
    pub files: Vec<Row>,
    /// What is wrong with the tables themselves.
    pub findings: Vec<Finding>,
}

/// One row of a table.
#[derive(Debug, Clone)]
pub struct Row {
    /// A folder without the slash at its end, or a file.
    pub path: String,
    /// The line of the page, from 1.
    pub line: usize,
    /// What may be imported.
    pub allowed: Allowed,
}

/// Which crates of ours may be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// These.
    Only(BTreeSet<String>),
    /// All but these.
    AllBut(BTreeSet<String>),
    /// The page leaves it open: "whatever it feeds", "the modules of …".
    Open,
}

impl Allowed {
    /// Whether the crate `name` may be imported.
    pub fn allows(&self, name: &str) -> bool {
        match self {
            Self::Only(names) => names.contains(name),
            Self::AllBut(names) => !names.contains(name),
            Self::Open => true,
        }
    }

    /// Reads a cell such as "`profiles`, for near names; `cli`", "everything but `init`", "no crate of ours".
    fn read(cell: &str, workspace: &Workspace) -> Self {
        if ["whatever", "the modules of"].iter().any(|words| cell.starts_with(words)) {
            return Self::Open;
        }
        let quoted = cell.split('`').skip(1).step_by(2).map(|word| word.replace('_', "-"));
        let names = quoted.filter(|name| workspace.has(name)).collect();
        if cell.starts_with("everything but") { Self::AllBut(names) } else { Self::Only(names) }
    }
}

impl Page {
    /// Reads the tables out of the page's text.
    pub fn read(text: &str, workspace: &Workspace) -> Self {
        let mut page = Self::default();
        let mut heading: Option<String> = None;
        for (number, line) in (1..).zip(text.lines()) {
            let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
            if !line.starts_with('|') {
                heading = None;
            } else if cells.last() == Some(&"may import") {
                heading = cells.first().map(|cell| (*cell).to_owned());
            } else if let Some(heading) = &heading
                && !line.starts_with("|-")
            {
                let path = cells[0].trim_matches('`').trim_end_matches('/').to_owned();
                let allowed = Allowed::read(cells.last().unwrap_or(&""), workspace);
                let row = Row { path, line: number, allowed };
                if heading == "file" { page.files.push(row) } else { page.folders.push(row) }
            }
        }
        page.findings = page.missing(workspace);
        page
    }

    /// The row of a folder.
    pub fn folder(&self, folder: &str) -> Option<&Row> {
        self.folders.iter().find(|row| row.path == folder)
    }

    fn missing(&self, workspace: &Workspace) -> Vec<Finding> {
        let finding = |place: String, message: String| Finding { key: "tables".to_owned(), place, message };
        let without_row =
            workspace.crates.iter().filter(|one| self.folder(&one.folder).is_none()).map(|one| {
                let message = format!(
                    "no row for the crate {} (`{}/`): say its job and what it may import",
                    one.name, one.folder
                );
                finding("ARCHITECTURE.md".to_owned(), message)
            });
        let rows = self.folders.iter().chain(&self.files);
        let gone = rows.filter(|row| !workspace.root.join(&row.path).exists()).map(|row| {
            finding(
                format!("ARCHITECTURE.md:{}", row.line),
                format!("`{}` is not there: mend the row", row.path),
            )
        });
        without_row.chain(gone).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::tests::workspace;

    const PAGE: &str = "
| folder | job | may import |
|---|---|---|
| `one/` | a job | `two`, for a reason; `kdl` |
| `all/` | a job | everything but `one` |
| `none/` | a job | no crate of ours |

| file | what it does | may import |
|---|---|---|
| `one/src/main.rs` | a story | the modules of `one` |
";

    #[test]
    fn cells_are_read_as_people_write_them() {
        let page = Page::read(PAGE, &workspace(&[("one", &[]), ("two", &[])]));
        let allows = |folder: &str, name| page.folder(folder).unwrap().allowed.allows(name);
        assert!(allows("one", "two") && !allows("one", "one"));
        assert!(allows("all", "two") && !allows("all", "one"));
        assert!(!allows("none", "two"));
        assert_eq!(page.files[0].allowed, Allowed::Open);
    }

    #[test]
    fn a_crate_without_a_row_and_a_row_without_a_folder_are_told() {
        let page = Page::read(PAGE, &workspace(&[("one", &[]), ("two", &[])]));
        let told: Vec<String> = page.findings.iter().map(Finding::to_string).collect();
        assert!(told.iter().any(|one| one.contains("no row for the crate two (`two/`)")), "{told:?}");
        assert!(told.iter().any(|one| one.starts_with("ARCHITECTURE.md:5: `all` is not there")), "{told:?}");
    }
}
