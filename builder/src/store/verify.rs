//! Hashes every image and every source of the store and compares them with their names, images also with their records, and the
//! trees with their images.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use cli::numbers::count;
use cli::progress::{Meter, Progress};
use profiles::Digest;
use profiles::resolved::VerityRef;
use serde::Serialize;
use verified_store::{digest_of, hash_tree_of, open_file};
use verity::Work;

use super::{BuildRecord, KERNELS, KernelRecord, Records, Store, trees, wrong_length};
use crate::error::{Error, Result};
use crate::image::hash_tree;

/// What `verify` saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct VerifyReport {
    /// Images hashed.
    pub images: usize,
    /// Sources hashed.
    pub sources: usize,
    /// Kernels hashed.
    pub kernels: usize,
    /// The size in bytes of all that was hashed.
    pub bytes: u64,
    /// Trees compared with their images.
    pub trees: usize,
    /// Records read.
    pub records: usize,
    /// Texts of ids hashed.
    pub id_texts: usize,
    /// Generations of resolved profiles read.
    pub profiles: usize,
    /// Images that no record and no profile names, as paths below the store. They are no fault, and take room.
    pub orphans: Vec<String>,
    /// Everything wrong; empty when the store is sound.
    #[serde(serialize_with = "as_objects")]
    pub findings: Vec<Error>,
}

/// For programs: each with its object, cause and remedy.
fn as_objects<S: serde::Serializer>(findings: &[Error], to: S) -> std::result::Result<S::Ok, S::Error> {
    to.collect_seq(findings.iter().map(|finding| {
        serde_json::json!({
            "object": finding.object(), "cause": finding.cause(), "remedy": finding.known_remedy().unwrap_or_default(),
        })
    }))
}

impl Store {
    /// Hashes every image, source and kernel, checks the hash tree and error correction of images against their records, compares
    /// every tree with its image, and checks every record; `jobs` at a time. An error is only for what keeps the check itself from
    /// running.
    pub fn verify(&self, jobs: NonZero<usize>, progress: Progress) -> Result<VerifyReport> {
        let Records { sound, damaged } = self.records()?;
        let [images, sources] = ["images", "sources"].map(|folder| super::files_in(&self.root.join(folder)));
        let (images, sources) = (images?, sources?);
        let kernels = super::files_in(&self.root.join(KERNELS))?;
        let kernels: Vec<_> = kernels.into_iter().filter(|path| path.extension().is_none()).collect();
        // Where they are another user's alone, they are his to look at.
        let trees = super::files_in(&self.root.join("trees")).unwrap_or_default();
        let profiles = self.read_profiles()?;
        let (id_texts, changed_texts) = self.look_at_id_texts()?;
        let mut looks: Vec<Look> =
            images.iter().map(|path| Look::at_image(path, &sound, &profiles.images)).collect();
        looks.extend(sources.iter().map(|path| Look::at_source(path)));
        looks.extend(kernels.iter().map(|path| Look { what: What::Kernel, ..Look::at_source(path) }));
        let bytes = looks.iter().map(|look| look.size).sum();
        let work = looks.iter().map(Look::work).sum();
        let what =
            format!("checking {} and {}", count(images.len(), "image"), count(sources.len(), "source"));
        let meter = progress.passes(what, bytes, work);
        let mut report = VerifyReport {
            images: images.len(),
            sources: sources.len(),
            kernels: kernels.len(),
            trees: trees.len(),
            records: sound.len() + damaged.len(),
            id_texts,
            profiles: profiles.count,
            orphans: looks.iter().filter_map(Look::orphan).collect(),
            ..VerifyReport::default()
        };
        for (size, finding) in each(&looks, jobs, |look| look.carry_out(&meter)) {
            report.bytes += size;
            report.findings.extend(finding);
        }
        drop(meter);
        if !trees.is_empty() {
            let _meter = progress.work(format_args!("comparing {}", count(trees.len(), "tree")));
            report.findings.extend(each(&trees, jobs, |path| self.look_at_tree(path)).into_iter().flatten());
        }
        report.findings.extend(damaged);
        report.findings.extend(changed_texts);
        report.findings.extend(profiles.findings);
        report.findings.extend(crate::scratch::set_aside(&self.tmp()));
        report.findings.extend(self.look_at_kernels()?);
        for record in sound.iter().filter(|record| !self.image_path(&record.digest).exists()) {
            report.findings.push(
                Error::new(
                    format!("builds/{}.kdl", record.id.hex()),
                    format!("the image of {} {} is missing", record.name, record.version),
                )
                .remedy(format!("{} makes it again", record.remade_by())),
            );
        }
        Ok(report)
    }

    /// What is wrong with the records of kernels.
    fn look_at_kernels(&self) -> Result<Vec<Error>> {
        let look = |record: Result<KernelRecord>| -> Result<()> {
            let record = record?;
            self.require_kernel(&record.pin)?;
            self.modules_of(&record).map(drop)
        };
        Ok(self.kernels()?.into_iter().filter_map(|record| look(record).err()).collect())
    }

    fn look_at_tree(&self, path: &Path) -> Option<Error> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(crate::scratch::SET_ASIDE) {
            return Some(
                Error::new(
                    format!("trees/{name}"),
                    "was changed or is another user's, and could not be removed",
                )
                .remedy("remove it as its owner, or as root"),
            );
        }
        let image = self.root.join("images").join(format!("{name}.sqfs"));
        let compared = squashfs::Image::open(&image)
            .map_err(|error| format!("its image cannot be read: {error}"))
            .and_then(|image| trees::compare(&image, &path.join(super::unpacked::ROOT)));
        compared.err().map(|cause| {
            Error::new(format!("trees/{name}"), cause)
                .remedy("remove the folder; `lamina build` unpacks the image again when it needs it")
        })
    }
}

/// A file to hash.
struct Look<'a> {
    path: &'a Path,
    /// Its length, 0 where it cannot be asked.
    size: u64,
    what: What<'a>,
}

/// Which of the kinds of files that are named by their digests.
#[derive(Clone, Copy)]
enum What<'a> {
    /// An image, with the record of the build that made it, and what the first profile that names it says of its length and hash tree.
    Image(Option<&'a BuildRecord>, Option<(u64, Option<VerityRef>)>),
    Source,
    /// The bootable file of a kernel.
    Kernel,
}

/// What `work` makes of each item, in their order, on up to `jobs` threads.
fn each<I: Sync, T: Send>(items: &[I], jobs: NonZero<usize>, work: impl Fn(&I) -> T + Sync) -> Vec<T> {
    let (next, work) = (AtomicUsize::new(0), &work);
    let worker = || {
        let mut done = Vec::new();
        while let Some((index, item)) = Some(next.fetch_add(1, Ordering::Relaxed))
            .and_then(|index| items.get(index).map(|item| (index, item)))
        {
            done.push((index, work(item)));
        }
        done
    };
    let mut done: Vec<(usize, T)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs.get().min(items.len())).map(|_| scope.spawn(worker)).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Vec<(usize, T)>>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().flat_map(join).collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

impl<'a> Look<'a> {
    fn at_image(
        path: &'a Path,
        records: &'a [BuildRecord],
        profiles: &BTreeMap<Digest, (u64, Option<VerityRef>)>,
    ) -> Self {
        let stem = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".sqfs"));
        let maker = records.iter().find(|record| stem == Some(record.digest.hex().as_str()));
        let named = stem.and_then(|hex| profiles.get(&Digest::parse(hex).ok()?).copied());
        Look { what: What::Image(maker, named), ..Self::at_source(path) }
    }

    fn at_source(path: &'a Path) -> Self {
        let size = std::fs::metadata(path).map_or(0, |found| found.len());
        Look { path, size, what: What::Source }
    }

    fn verity(&self) -> Option<VerityRef> {
        match self.what {
            What::Image(maker, named) => {
                maker.and_then(|record| record.verity).or(named.and_then(|(_, verity)| verity))
            }
            What::Source | What::Kernel => None,
        }
    }

    /// Its length when it was made, where that is known.
    fn length(&self) -> Option<u64> {
        match self.what {
            What::Image(maker, named) => maker.map(|record| record.size).or(named.map(|(size, _)| size)),
            What::Source | What::Kernel => None,
        }
    }

    /// The folder of the store, and what stands behind the digest.
    fn place(&self) -> (&'static str, &'static str) {
        match self.what {
            What::Image(..) => ("images", ".sqfs"),
            What::Source => ("sources", ""),
            What::Kernel => (KERNELS, ""),
        }
    }

    /// Its path below the store, when nobody names it.
    fn orphan(&self) -> Option<String> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        matches!(self.what, What::Image(None, None)).then(|| format!("images/{name}"))
    }

    /// How many bytes it goes over.
    fn work(&self) -> u64 {
        let verity = self.verity().and_then(|verity| hash_tree_of(&verity).ok());
        self.size + verity.map_or(0, |verity| Work::bytes(&verity.layout))
    }

    /// How to have a sound one.
    fn remedy(&self) -> String {
        match self.what {
            What::Image(Some(record), _) => {
                format!("remove it, then {} makes it again", record.remade_by())
            }
            What::Image(None, Some(_)) => {
                "get it again: a profile names it, and no build record (on a medium, `lamina medium create` does)".to_owned()
            }
            What::Image(None, None) => "remove it; no build record and no profile names it".to_owned(),
            What::Source => "remove it; `lamina build` fetches it again when it needs it".to_owned(),
            What::Kernel => "remove it, and import the kernel again: `lamina kernel import`".to_owned(),
        }
    }

    /// The size of the file and what is wrong with it.
    fn carry_out(&self, meter: &Meter) -> (u64, Option<Error>) {
        let (folder, ending) = self.place();
        let object = format!("{folder}/{}", self.path.file_name().unwrap_or_default().to_string_lossy());
        let unreadable = |cause: String| {
            let remedy = "make it a file that can be read, or remove it".to_owned();
            (0, Some(Error::new(&object, cause).remedy(remedy)))
        };
        // init follows none, and what a link names others may change.
        if matches!(self.what, What::Image(..)) && self.path.is_symlink() {
            let remedy = format!("put the file itself there, or {}", self.remedy());
            return (
                0,
                Some(Error::new(&object, "is a symbolic link, and no image may be one").remedy(remedy)),
            );
        }
        let mut file = match open_file(self.path) {
            Ok(file) => file,
            Err(error) => return unreadable(error.cause().to_owned()),
        };
        let (digest, size) = match digest_of(&mut file, meter) {
            Ok(found) => found,
            Err(error) => return unreadable(error.to_string()),
        };
        let cause = if object == format!("{folder}/{}{ending}", digest.hex()) {
            let work = Work { jobs: NonZero::<usize>::MIN, progress: &|bytes| meter.advance(bytes) };
            let bad = self.verity().and_then(|verity| hash_tree::check(&file, &verity, work).err());
            bad.map(|error| format!("{error}: it is not what its record says"))
        } else {
            let length = self.length().filter(|length| *length != size);
            let hash = || format!("its SHA-256 is {}: the file was changed or damaged", digest.hex());
            Some(length.map_or_else(hash, |length| wrong_length(size, length)))
        };
        (size, cause.map(|cause| Error::new(&object, cause).remedy(self.remedy())))
    }
}
