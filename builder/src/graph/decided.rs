//! What was decided of a package: its version, by whom, and the choices that are not its recipe's.

use super::Package;
use crate::choice::shown;

impl Package {
    /// The version, who has decided about it, and which others there are: `1.2.13 (pinned at pins.kdl:2:5; there is 1.3.1 too)`.
    pub fn version_text(&self) -> String {
        let chosen = self.recipe.version.as_str();
        let others = self.versions.all().iter().map(|recipe| recipe.version.as_str());
        let others: Vec<&str> = others.filter(|version| *version != chosen).collect();
        let more = match others.as_slice() {
            [] => String::new(),
            others => format!("; there is {} too", others.join(", ")),
        };
        format!("{chosen} ({}{more})", self.version_why())
    }

    /// Who has decided about the version: those who asked for one, the pins, or nobody.
    pub fn version_why(&self) -> String {
        let asked = self.asked.iter().filter(|request| !request.condition.is_any());
        let mut why: Vec<String> = asked.map(|it| format!("{} {}", it.condition, it.wishes.by)).collect();
        why.extend(self.pin.as_ref().map(|pin| format!("pinned at {}", pin.span)));
        why.sort();
        why.dedup();
        match (why.is_empty(), self.versions.all().len()) {
            (false, _) => why.join(", "),
            (true, 1) => "the only one".to_owned(),
            (true, _) => "the newest".to_owned(),
        }
    }
    /// The choices that are not the recipe's defaults, as on a command line.
    pub fn chosen(&self) -> impl Iterator<Item = String> {
        self.recipe.features.iter().filter_map(|feature| {
            let choice = self.selection.get(&feature.name);
            (*choice != feature.default).then(|| shown(&feature.name, choice))
        })
    }
}
