//! `lamina store gc`, and `lamina store list --why`: what of the store is needed.

use std::num::NonZero;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use argh::{ArgsInfo, FromArgs};
use cli::numbers::{count, human_size};
use serde_json::json;

use super::{print, print_json};
use crate::collection::plan::{Judged, carry_out, judge, pieces};
use crate::collection::roots::{Roots, graph_of_tree};
use crate::command::context::Context;
use crate::error::{Error, Result};
use crate::medium::contents;
use crate::store::Store;

/// How many generations of a profile stay when nobody says.
pub(super) const KEPT: NonZero<usize> = NonZero::new(3).unwrap();
/// For how many hours what nobody needs stays when nobody says.
const GRACE: u64 = 24;

/// Remove from the store what no generation that stays and no build of the tree needs: images, records, logs, unpacked trees, sources,
/// older generations.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "gc",
    example = "lamina store gc --dry-run\nlamina store gc --keep 1 --grace 0",
    note = "What is needed is said by the tree (`--tree`, or the one upwards): all its packages with their defaults, and its profiles. Builds \
with other choices, and those of other trees, go when they are old, and can be built again.",
    note = "`lamina store list --why PATH` says of one file why it stays or goes."
)]
pub(super) struct Gc {
    /// how many generations of each profile stay, the newest ones (default: 3)
    #[argh(option, arg_name = "n", default = "KEPT")]
    keep: NonZero<usize>,
    /// hours for which what nobody needs stays after it was written (default: 24)
    #[argh(option, arg_name = "hours", default = "GRACE")]
    grace: u64,
    /// say of each file why it stays or goes, and remove nothing
    #[argh(switch, short = 'n')]
    dry_run: bool,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

impl Gc {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let store = context.store()?;
        let grace = Duration::from_secs(self.grace.saturating_mul(3600));
        // No generation comes between the judgement and the end.
        let _held = (!self.dry_run).then(|| store.hold(store.root())).transpose()?;
        let judged = judged(context, &store, self.keep, grace)?;
        if !self.dry_run {
            carry_out(&store, &judged, grace)?;
        }
        let (files, bytes) = judged
            .iter()
            .filter(|it| !it.stays)
            .fold((0_u64, 0), |(files, bytes), it| (files + 1, bytes + it.piece.size));
        if self.json {
            let rows = judged.iter().map(row);
            print_json(
                &json!({ "written": !self.dry_run, "bytes": bytes, "files": rows.collect::<Vec<_>>() }),
            )?;
        } else if self.dry_run {
            judged.iter().map(sentence).try_for_each(print)?;
        } else {
            let (root, files) = (store.root().display(), count(files, "file"));
            context.report.line(format_args!("{root}: removed {files}, {}", human_size(bytes)));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn judged(context: &Context, store: &Store, keep: NonZero<usize>, grace: Duration) -> Result<Vec<Judged>> {
    let graph = graph_of_tree(&context.recipes()?, &context.profiles()?)?;
    let roots = Roots::of(store, &graph, contents::running()?, (keep, grace))?;
    Ok(judge(pieces(store, SystemTime::now())?, &roots, grace))
}

fn row(judged: &Judged) -> serde_json::Value {
    let piece = &judged.piece;
    json!({ "path": piece.path, "size": piece.size, "stays": judged.stays, "why": judged.why })
}

fn sentence(judged: &Judged) -> String {
    let word = if judged.stays { "stays" } else { "goes" };
    format!("{} {word}: {}", judged.piece.path.display(), judged.why)
}

const LISTS: &str = "give a path of the store, as images/HEX.sqfs; `lamina store gc --dry-run` lists them";

/// What a path can mean, below the store: one of the store, or of a file of this machine, however it is spelled.
fn places(root: &Path, path: &str) -> Vec<PathBuf> {
    let plain = |path: &Path| path.components().filter(|it| *it != Component::CurDir).collect::<PathBuf>();
    let meant = plain(Path::new(path));
    let inside = meant.strip_prefix(root).map(Path::to_owned).unwrap_or(meant.clone());
    // The last name may be that of a link, which is itself what is asked for.
    let real = |path: &Path| -> Option<PathBuf> {
        let folder = Some(path.parent()?).filter(|it| *it != Path::new("")).unwrap_or(Path::new("."));
        Some(folder.canonicalize().ok()?.join(path.file_name()?))
    };
    let of_machine = real(&meant).zip(root.canonicalize().ok());
    let of_machine = of_machine.and_then(|(path, root)| path.strip_prefix(root).map(Path::to_owned).ok());
    [Some(inside), of_machine].into_iter().flatten().collect()
}

/// Prints why one file of the store stays or goes.
pub(super) fn why(context: &Context, path: &str, as_json: bool) -> Result<ExitCode> {
    if path.trim().is_empty() {
        return Err(Error::new("--why", "names no file").remedy(LISTS));
    }
    let store = context.store()?;
    let judged = judged(context, &store, KEPT, Duration::from_secs(GRACE * 3600))?;
    let meant = places(store.root(), path);
    // What lies in a folder that is one thing stays or goes with that.
    let is_meant = |it: &&Judged| meant.iter().any(|place| place.starts_with(&it.piece.path));
    let found = judged.iter().find(is_meant).ok_or_else(|| {
        let within = |it: &&Judged| meant.iter().any(|place| it.piece.path.starts_with(place));
        let cause = match judged.iter().filter(within).count() as u64 {
            0 => "is no file of the store that could go".to_owned(),
            files => format!("has {}, each with a reason of its own", count(files, "file")),
        };
        Error::new(format!("'{path}'"), cause).remedy(LISTS)
    })?;
    match as_json {
        true => print_json(&row(found))?,
        false => print(sentence(found))?,
    }
    Ok(ExitCode::SUCCESS)
}
