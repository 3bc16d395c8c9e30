//! The section `[Install]` of a unit of systemd (systemd.unit(5)): what `systemctl enable` would do. Pure.

/// What a unit says of how it is switched on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Install {
    /// Folders below the place of units that get a link to it: `multi-user.target.wants`.
    pub folders: Vec<String>,
    /// Its other names.
    pub aliases: Vec<String>,
    /// Units that are switched on with it.
    pub also: Vec<String>,
}

impl Install {
    /// Reads a unit; what is not understood is left out, as systemd does.
    pub fn parse(text: &str) -> Install {
        let mut install = Install::default();
        let mut inside = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with('[') {
                inside = line == "[Install]";
            }
            let Some((key, value)) = line.split_once('=').filter(|_| inside) else { continue };
            let names = value.split_whitespace().filter(|name| is_plain(name));
            let folder = |end: &'static str| move |name: &str| format!("{name}.{end}");
            match key.trim_end() {
                "WantedBy" => install.folders.extend(names.map(folder("wants"))),
                "RequiredBy" => install.folders.extend(names.map(folder("requires"))),
                "Alias" => install.aliases.extend(names.map(str::to_owned)),
                "Also" => install.also.extend(names.map(str::to_owned)),
                _ => {}
            }
        }
        install
    }

    /// Whether there is nothing that could switch the unit on.
    pub fn is_empty(&self) -> bool {
        self.folders.is_empty() && self.aliases.is_empty() && self.also.is_empty()
    }
}

/// A name that stays in its folder, without specifiers (`%i`).
fn is_plain(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    !name.starts_with('.') && name.bytes().all(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_says_where_links_go() {
        let text = "[Unit]\nWantedBy=no.target\n# Alias=no\n[Install]\nWantedBy=multi-user.target  a.target\n\
                    RequiredBy = b.target\nAlias=dbus-org.x.service ../x.service\nAlso=x.socket %i.socket\n[X]\nAlias=y\n";
        assert_eq!(
            Install::parse(text),
            Install {
                folders: ["multi-user.target.wants", "a.target.wants", "b.target.requires"]
                    .map(str::to_owned)
                    .into(),
                aliases: vec!["dbus-org.x.service".to_owned()],
                also: vec!["x.socket".to_owned()],
            }
        );
        assert!(Install::parse("[Service]\nExecStart=/x\n").is_empty());
    }
}
