//! A page over HTTPS inside a guest: curl fetches what lighttpd serves, with each TLS library, linked in each way.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use qemu_tests::artifacts;
use qemu_tests::fixture::Fixture;
use qemu_tests::guest::Guest;
use qemu_tests::programs::{self, run, said};
use qemu_tests::store::newest_profile;
use qemu_tests::{Failure, Story};

const PROMPT: &str = ":~# ";
const PAGE: &str = "came encrypted";

/// A TLS library: what a recipe calls it, what curl says of itself, and what the program needs of it where it is shared.
struct Provider {
    name: &'static str,
    version: &'static str,
    shared: &'static [&'static str],
}

const MBEDTLS: Provider = Provider {
    name: "mbedtls",
    version: "mbedTLS/2.28.3",
    shared: &["libmbedcrypto.so.7", "libmbedtls.so.14", "libmbedx509.so.1"],
};
const OPENSSL: Provider =
    Provider { name: "openssl", version: "OpenSSL/3.0.17", shared: &["libcrypto.so.3", "libssl.so.3"] };
/// The old one, which a crate carries: it is for this alone.
const LIBRESSL: Provider =
    Provider { name: "libressl", version: "LibreSSL/2.0.0", shared: &["libcrypto.so.29", "libssl.so.26"] };

/// A site with a key and a certificate of its own, the same whoever encrypts.
const SITE: &str = r#"recipe "site" {
    version "1"
    description "A page and who may serve it"
    license "MIT"
    file "site.pem"
    step "install" """
        install -Dm600 /recipe/site.pem "$OUT/etc/lighttpd/site.pem"
        mkdir -p "$OUT/etc/lighttpd/conf.d" "$OUT/srv/www"
        echo 'include "tls.conf"' >"$OUT/etc/lighttpd/conf.d/tls.conf"
        echo "PAGE" >"$OUT/srv/www/index.html"
        """
}
"#;

/// What is built already, in a store of the story's own, and a tree with the repository's packages, the site and a pin.
struct Shop {
    folder: tempfile::TempDir,
}

impl Shop {
    fn new() -> Result<Self, Failure> {
        let made = Self { folder: artifacts::scratch("https")? };
        fs::create_dir(made.path("store")).map_err(Failure::at(made.folder.path()))?;
        let parts = ["images", "builds", "sources"].map(|part| artifacts::store().join(part));
        run(Command::new("cp").arg("-al").args(parts).arg(made.path("store")))?;
        fs::create_dir(made.path("tree")).map_err(Failure::at(made.folder.path()))?;
        let parts = ["packages", "profiles"].map(|part| artifacts::repository().join(part));
        run(Command::new("cp").arg("-r").args(parts).arg(made.path("tree")))?;
        made.write("tree/pins.kdl", "pins format=1 {\n    libressl \"2.0.0\"\n}\n")?;
        made.write("tree/packages/site/recipe.kdl", &SITE.replace("PAGE", PAGE))?;
        made.write("tree/packages/site/site.pem", &certificate()?)?;
        Ok(made)
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    fn write(&self, inside: &str, text: &str) -> Story {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap_or(&path)).map_err(Failure::at(&path))?;
        fs::write(&path, text).map_err(Failure::at(&path))
    }

    /// Builds a system in which both programs encrypt with that library, linked in that way.
    fn build(&self, provider: &Provider, linkage: &str) -> Result<String, Failure> {
        let (name, tls) = (format!("{}-{linkage}", provider.name), provider.name);
        let choices = format!("tls=\"{tls}\" linkage=\"{linkage}\"");
        self.build_of(&name, &[&format!("curl {choices}"), &format!("lighttpd {choices}"), "site"])?;
        Ok(name)
    }

    /// Builds the profile `name` of the base and these packages, each with its choices.
    fn build_of(&self, name: &str, packages: &[&str]) -> Story {
        let packages = packages.join("\n        ");
        let text = format!(
            "profile \"{name}\" {{\n    description \"a page over HTTPS\"\n    include \"base\"\n    packages {{\n        {packages}\n    }}\n}}\n"
        );
        self.write(&format!("tree/profiles/{name}.kdl"), &text)?;
        let mut lamina = programs::lamina(&self.path("store"));
        run(lamina.arg("--tree").arg(self.path("tree")).args(["build", "--profile", name])).map(drop)
    }

    /// Puts the system into the store of the story's medium.
    fn ship(&self, profile: &str, fixture: &Fixture) -> Story {
        let (path, images) = newest_profile(&self.path("store"), profile)?;
        for image in &images {
            fixture.store().take(image, &self.path("store"))?;
        }
        let text = fs::read_to_string(&path).map_err(Failure::at(&path))?;
        fixture.store().profile_text(profile, &text)
    }

    /// What the program of that package needs of other files, by what its header says (readelf(1)).
    fn needs(&self, profile: &str, package: &str, program: &str) -> Result<Vec<String>, Failure> {
        let file = self.path(&format!("{profile}-{package}"));
        let (_, images) = newest_profile(&self.path("store"), profile)?;
        let image = images.iter().find(|image| image.name == package);
        let image = image.ok_or_else(|| Failure::new(format!("{profile} has no {package}")))?;
        let image = self.path("store/images").join(format!("{}.sqfs", image.digest));
        let opened = squashfs::Image::open(&image).map_err(Failure::at(&image))?;
        let bytes = opened.read(program.as_bytes()).map_err(Failure::at(&image))?;
        fs::write(&file, bytes).map_err(Failure::at(&file))?;
        let dynamic = said(Command::new("readelf").args(["-d", "-W"]).arg(&file))?;
        let names = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
        let mut names: Vec<String> =
            names.filter_map(|line| Some(line.split_once('[')?.1.trim_end_matches(']').to_owned())).collect();
        names.sort();
        Ok(names)
    }
}

/// A key, and a certificate in which it vouches for itself as `localhost`.
fn certificate() -> Result<String, Failure> {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    openssl.args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
    said(openssl.args(["-keyout", "-", "-out", "-"]))
}

/// Builds the systems, and fetches the page in each of them.
fn fetches(name: &str, systems: &[(&Provider, &str)]) -> Story {
    let shop = Shop::new()?;
    let fixture = Fixture::new(name)?;
    let mut profiles = Vec::new();
    for (provider, linkage) in systems {
        let profile = shop.build(provider, linkage)?;
        for (package, program) in [("curl", "usr/bin/curl"), ("lighttpd", "usr/sbin/lighttpd")] {
            let needs = shop.needs(&profile, package, program)?;
            let mut expected: Vec<&str> = match *linkage {
                "static" => Vec::new(),
                "mixed" => [&["libc.so"], provider.shared].concat(),
                _ => [&["libc.so", "libz.so.1"], provider.shared].concat(),
            };
            expected.sort_unstable();
            assert_eq!(needs, expected, "{profile}: {package}");
        }
        shop.ship(&profile, &fixture)?;
        profiles.push((profile, provider));
    }
    let disk = fixture.disk()?;
    for (profile, provider) in profiles {
        let mut guest = fixture.boot(&disk, &format!("lamina.profile={profile}"))?;
        guest.expect(PROMPT)?;
        fetch(&mut guest, &profile, provider)?;
        guest.type_line("poweroff")?;
        guest.expect_off()?;
    }
    Ok(())
}

fn fetch(guest: &mut Guest, profile: &str, provider: &Provider) -> Story {
    let version = guest.run("curl --version")?;
    assert!(version.contains(provider.version), "{profile}: {version}");
    let page = guest.run("curl -sS --cacert /etc/lighttpd/site.pem https://localhost/")?;
    assert_eq!(page, format!("{PAGE}\n"), "{profile}");
    // Nobody in the bundle vouches for it.
    let refused = guest.run("curl -sS https://localhost/ 2>&1 || true")?;
    assert!(refused.contains("(60)"), "{profile}: {refused}");
    Ok(())
}

#[test]
fn a_page_comes_encrypted_to_a_static_curl_from_a_static_server() -> Story {
    fetches("https", &[(&MBEDTLS, "static")])
}

#[test]
#[ignore = "compiles three TLS libraries and eighteen programs, half an hour: `make soak` tells it"]
fn a_page_comes_encrypted_by_each_library_in_each_linkage() -> Story {
    let linkages = ["static", "dynamic", "mixed"];
    let all: Vec<_> = [&MBEDTLS, &OPENSSL, &LIBRESSL]
        .into_iter()
        .flat_map(|provider| linkages.map(|linkage| (provider, linkage)))
        .collect();
    fetches("https-all", &all)
}

#[test]
#[ignore = "compiles two libraries for glibc and curl: `make soak` tells it"]
fn a_program_of_glibc_fetches_from_one_of_musl_and_another_is_led_through_a_proxy() -> Story {
    let shop = Shop::new()?;
    let fixture = Fixture::new("https-glibc")?;
    let glibc = "curl linkage=\"dynamic\" libc=\"glibc\"";
    shop.build_of("glibc", &[glibc, "lighttpd", "site"])?;
    shop.build_of("proxy", &["curl linkage=\"dynamic\"", "lighttpd", "site", "proxychains-ng"])?;
    for profile in ["glibc", "proxy"] {
        shop.ship(profile, &fixture)?;
    }
    let needs = shop.needs("glibc", "curl", "usr/bin/curl")?;
    let expected = [&["libc.so.6"], MBEDTLS.shared, &["libz.so.1"]].concat();
    assert_eq!(needs, expected);
    let disk = fixture.disk()?;
    let mut guest = fixture.boot(&disk, "lamina.profile=glibc")?;
    guest.expect(PROMPT)?;
    fetch(&mut guest, "glibc", &MBEDTLS)?;
    guest.type_line("poweroff")?;
    guest.expect_off()?;

    // Nobody listens where its configuration says: that it asks there at all is the library's doing.
    let mut guest = fixture.boot(&disk, "lamina.profile=proxy")?;
    guest.expect(PROMPT)?;
    fetch(&mut guest, "proxy", &MBEDTLS)?;
    let led = guest.run("proxychains4 curl -sS -k https://127.0.0.1/ 2>&1 || true")?;
    for part in ["preloading /usr/lib/libproxychains4.so", "127.0.0.1:9050"] {
        assert!(led.contains(part) && !led.contains(PAGE), "{led}");
    }
    guest.type_line("poweroff")?;
    guest.expect_off()
}
