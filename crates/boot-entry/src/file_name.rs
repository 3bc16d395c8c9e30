//! The name of an entry's file: `ID.conf`, or `ID+LEFT-DONE.conf` where the loader counts tries (Boot Loader Specification,
//! "Boot counting"): it renames the file at each try, and a booted system that is good renames it to `ID.conf`.

use profiles::{Digest, Name};

/// What the names of entries of Lamina begin with.
const PREFIX: &str = "lamina-";

/// The tries that a loader counts in the name of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// How many are left; 0: the entry is bad, and loaders show it last.
    pub left: u32,
    /// How many there were.
    pub done: u32,
}

/// The name of an entry's file, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryFileName {
    /// Names the entry, whatever was counted.
    pub id: String,
    /// Without it nothing is counted: the entry is blessed, or was never on trial.
    pub tries: Option<Tries>,
}

impl EntryFileName {
    /// Of the entry that boots this generation of a profile. Names differ in the case of letters, and FAT does not know it; a `+`
    /// would begin the tries. So `_` stands before a letter that was large, before another `_`, and in `_.` for the `+`.
    pub fn of(profile: &Name, generation: u64) -> EntryFileName {
        let mut id = String::from(PREFIX);
        for letter in profile.as_str().chars() {
            match letter {
                '+' => id.push_str("_."),
                '_' => id.push_str("__"),
                large if large.is_ascii_uppercase() => id.extend(['_', large.to_ascii_lowercase()]),
                other => id.push(other),
            }
        }
        EntryFileName { id: format!("{id}-{generation}"), tries: None }
    }

    /// The same entry with other contents: it gets another name, because a file on FAT cannot be replaced safely. In no name of
    /// [`EntryFileName::of`] a `-` follows `_`.
    pub fn revised(&self, contents: &str) -> EntryFileName {
        let digest = Digest::of_bytes(contents).hex();
        EntryFileName { id: format!("{}_-{}", self.id, &digest[..8]), tries: self.tries }
    }

    /// Whether this is the name of an entry of Lamina, and of nobody else's.
    pub fn is_ours(&self) -> bool {
        EntryFileName::is_our_id(&self.id)
    }

    /// The same of an id alone.
    pub fn is_our_id(id: &str) -> bool {
        id.starts_with(PREFIX)
    }

    /// The number of the generation of a profile that this name is for, revised or not.
    pub fn number(&self, profile: &Name) -> Option<u64> {
        let of_profile = EntryFileName::of(profile, 0).id;
        let rest = self.id.strip_prefix(of_profile.strip_suffix('0')?)?;
        rest.split("_-").next()?.parse().ok()
    }

    /// Takes a file name apart; `None` when it does not end in `.conf`, or has no id. As for loaders, and for FAT itself, the case of these
    /// letters says nothing.
    pub fn parse(file_name: &str) -> Option<EntryFileName> {
        const END: &str = ".conf";
        let at = file_name.len().checked_sub(END.len()).filter(|at| file_name.is_char_boundary(*at))?;
        let (stem, end) = file_name.split_at(at);
        if stem.is_empty() || !end.eq_ignore_ascii_case(END) {
            return None;
        }
        let counted = stem.rsplit_once('+').and_then(|(id, tries)| Some((id, Tries::parse(tries)?)));
        Some(match counted.filter(|(id, _)| !id.is_empty()) {
            Some((id, tries)) => EntryFileName { id: id.to_owned(), tries: Some(tries) },
            None => EntryFileName { id: stem.to_owned(), tries: None },
        })
    }

    /// The name of the file.
    pub fn file_name(&self) -> String {
        match self.tries {
            Some(Tries { left, done }) => format!("{}+{left}-{done}.conf", self.id),
            None => format!("{}.conf", self.id),
        }
    }
}

impl Tries {
    fn parse(text: &str) -> Option<Tries> {
        let number =
            |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?;
        match text.split_once('-') {
            Some((left, done)) => Some(Tries { left: number(left)?, done: number(done)? }),
            None => Some(Tries { left: number(text)?, done: 0 }),
        }
    }

    /// Whether loaders take the entry for one that does not boot.
    pub fn used_up(self) -> bool {
        self.left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(id: &str, left: u32, done: u32) -> Option<EntryFileName> {
        Some(EntryFileName { id: id.to_owned(), tries: Some(Tries { left, done }) })
    }

    #[test]
    fn tries_are_read_and_written() {
        assert_eq!(EntryFileName::parse("entry+3-0.conf"), counted("entry", 3, 0));
        assert_eq!(EntryFileName::parse("entry+3.conf"), counted("entry", 3, 0));
        assert_eq!(EntryFileName::parse("a+b+1-2.conf"), counted("a+b", 1, 2));
        let plain = |id: &str| Some(EntryFileName { id: id.to_owned(), tries: None });
        for (file, id) in [("entry.conf", "entry"), ("a+b.conf", "a+b"), ("a+.conf", "a+"), ("+3.conf", "+3")]
        {
            assert_eq!(EntryFileName::parse(file), plain(id), "{file}");
        }
        assert_eq!(EntryFileName::parse("a+99999999999.conf"), plain("a+99999999999"));
        assert_eq!(EntryFileName::parse("entry.efi"), None);
        assert_eq!(EntryFileName::parse(".conf"), None);
        assert_eq!(EntryFileName::parse("OTHER.CONF"), plain("OTHER"));
        assert_eq!(EntryFileName::parse("\u{20ac}conf"), None);
        let name = counted("entry", 1, 2).unwrap();
        assert_eq!(name.file_name(), "entry+1-2.conf");
        assert!(!name.tries.unwrap().used_up() && counted("entry", 0, 3).unwrap().tries.unwrap().used_up());
    }

    #[test]
    fn other_contents_have_another_name_that_no_profile_has() {
        let web = EntryFileName {
            tries: Some(Tries { left: 3, done: 0 }),
            ..EntryFileName::of(&Name::parse("web").unwrap(), 7)
        };
        let revised = web.revised("title web");
        assert_eq!(revised.file_name(), "lamina-web-7_-a052afb6+3-0.conf");
        assert_eq!(EntryFileName::parse(&revised.file_name()), Some(revised.clone()));
        assert_ne!(revised, web.revised("title other"));
        let number = |name: &EntryFileName, profile: &str| name.number(&Name::parse(profile).unwrap());
        assert_eq!(
            (number(&web, "web"), number(&revised, "web"), number(&web, "we")),
            (Some(7), Some(7), None)
        );
        let other = EntryFileName::of(&Name::parse("web-1").unwrap(), 8);
        assert_eq!((number(&other, "web"), number(&other, "web-1")), (None, Some(8)));
        assert!(revised.is_ours() && !EntryFileName::parse("debian-7.conf").unwrap().is_ours());
    }

    #[test]
    fn different_profiles_have_different_files_on_fat() {
        let id = |name: &str| EntryFileName::of(&Name::parse(name).unwrap(), 3).id;
        assert_eq!(id("console"), "lamina-console-3");
        assert_eq!(id("C_x+1"), "lamina-_c__x_.1-3");
        let names = ["web", "Web", "w_eb", "w+eb", "w.eb", "w-eb", "wEb"];
        let mut ids: Vec<String> = names.iter().map(|name| id(name).to_lowercase()).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), names.len());
        for name in names {
            let file = EntryFileName::of(&Name::parse(name).unwrap(), 3);
            assert_eq!(EntryFileName::parse(&file.file_name()), Some(file));
        }
    }
}
