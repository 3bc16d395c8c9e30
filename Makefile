# From a fresh Debian to a running system made of stacked images. `make help` lists the targets.
# cargo, lamina and mkinitramfs know what is up to date, so that every target here may run every time.

PROFILE ?= console
KERNEL ?= 6.1
# Which Rust: auto, path or debian (see .ci/cargo). Which way init is linked with musl: auto, toolchain or debian (see .ci/musl).
TOOLCHAIN ?= auto
MUSL ?= auto
LAMINA_CACHE ?= $(HOME)/.cache/lamina
LAMINA_STORE ?= $(LAMINA_CACHE)/store
LAMINA_OUT ?= $(CURDIR)/out
PREFIX ?= /usr/local
export TOOLCHAIN MUSL RELEASE_KEY LAMINA_CACHE LAMINA_STORE LAMINA_OUT

KERNELS := 6.1 6.12
# Only for a test: the cloud kernels have no 9p.
TEST_KERNELS := 6.1-all
PROFILES := console web rescue
# Its libraries take minutes to build, and nobody needs them for a first boot.
TEST_PROFILES := console-dynamic

# Resolved only when used: `deps` may have installed the cargo that is asked.
toolchain = $(shell .ci/cargo --toolchain)
rust-packages = $(if $(filter debian,$(toolchain) $(shell MUSL=$(musl) .ci/musl --way)),rust)
lint-packages = $(if $(filter debian,$(toolchain)),lint)
# .ci/musl looks for the musl target of the cargo on PATH, which may be too old.
musl = $(if $(filter auto,$(MUSL)),$(if $(filter debian,$(toolchain)),debian,auto),$(MUSL))
target-dir = $(or $(CARGO_TARGET_DIR),target)$(if $(filter debian,$(toolchain)),/debian)
lamina = $(LAMINA_OUT)/lamina

.PHONY: help boot test unit vm-test vm-pieces lint build install release init packages kernel kernels profiles initramfs bench soak soak-guest tree fresh deps deps-test clean
.DEFAULT_GOAL := help
# cargo and lamina use all processors themselves, and two apt-get at once would fail.
.NOTPARALLEL:

help:
	@echo "make boot [PROFILE=console] [KERNEL=6.1|6.12]   builds all of it and boots it in QEMU; Ctrl-A X leaves"
	@echo "make test       every check and test; ends with N passed, N failed"
	@echo "make lint       layout, clippy, circles and imports, words and paths that must not be in the tree"
	@echo "make unit       tests without virtual machines"
	@echo "make vm-test    tests in virtual machines, after making what they need"
	@echo "make build      the programs lamina and mkinitramfs, in out/"
	@echo "make install    them, init, completions and manual pages [PREFIX=/usr/local] [DESTDIR=]"
	@echo "make release    one archive of static programs for any distribution, in out/release [RELEASE_KEY=FILE signs it]"
	@echo "make init       PID 1 of the initramfs, static with musl, in out/ (MUSL=toolchain|debian forces a way)"
	@echo "make packages   every package of packages/, from source, into the store"
	@echo "make profiles   the profiles of profiles/ and their packages, into the store"
	@echo "make kernels    Debian's cloud kernels 6.1 and 6.12, linked in out/kernels"
	@echo "make kernel     a small kernel of Debian's source, in out/kernels/linux-vm and in the store [FLAVOUR=vm|pc]"
	@echo "make initramfs  out/initramfs-KERNEL.img"
	@echo "make bench      the benchmarks of benches/"
	@echo "make soak       long-running tests [MINUTES=60 for each part]; prints its numbers as Markdown"
	@echo "make tree       builds every package twice, as root and as an ordinary user, and compares every image; takes root"
	@echo "make fresh      the two commands of the README on a Debian that has nothing [DEBIAN=12|13]; takes root"
	@echo "make deps       the Debian packages that all this needs; the only step that uses root"
	@echo "make clean      removes out/ and target/; the caches in $(LAMINA_CACHE) stay"
	@echo
	@echo "Settings: TOOLCHAIN=auto|path|debian  MUSL=auto|toolchain|debian  LAMINA_STORE=$(LAMINA_STORE)"

deps:
	@.ci/install build $(rust-packages)

deps-test:
	@.ci/install build rust test $(lint-packages)

build: deps
	@.ci/cargo build --locked --quiet --release -p builder -p mkinitramfs -p qemu-tests
	@mkdir -p $(LAMINA_OUT)
	@ln -f $(target-dir)/release/lamina $(target-dir)/release/mkinitramfs $(target-dir)/release/boot $(LAMINA_OUT)/

install: build init
	@.ci/put '$(LAMINA_OUT)' '$(LAMINA_OUT)' '$(DESTDIR)$(PREFIX)'

# One archive for any distribution, in out/release. RELEASE_KEY=FILE signs it with minisign.
release: init
	@MUSL=$(musl) .ci/release '$(LAMINA_OUT)/release'

init: deps
	@MUSL=$(musl) init/build

packages: build
	@$(lamina) build --all

# With the features that the profiles ask for; `lamina build` also locks them.
profiles: build
	@$(lamina) build $(sort $(PROFILES) $(PROFILE))

# The packages stay in the cache, where they are named by their hashes.
kernels: build
	@mkdir -p $(LAMINA_OUT)/kernels
	@for name in $(KERNELS); do ln -sfn "$$($(lamina) kernel fetch $$name)" $(LAMINA_OUT)/kernels/$$name.deb || exit; done

# A kernel of our own, a folder in out/kernels; from the store when nothing that goes in has changed.
kernel: FLAVOUR ?= vm
kernel: build
	@mkdir -p $(LAMINA_OUT)/kernels
	@rm -rf $(LAMINA_OUT)/kernels/linux-$(FLAVOUR)
	@$(lamina) kernel build --flavour $(FLAVOUR) --output $(LAMINA_OUT)/kernels/linux-$(FLAVOUR)

initramfs: build init kernels
	@$(LAMINA_OUT)/mkinitramfs --kernel $(LAMINA_OUT)/kernels/$(KERNEL).deb --init $(LAMINA_OUT)/init \
		--output $(LAMINA_OUT)/initramfs-$(KERNEL).img

boot: build init profiles kernels
	@$(LAMINA_OUT)/boot --profile $(PROFILE) --kernel $(KERNEL)

# What the stories need, in LAMINA_OUT and LAMINA_STORE. The second init proves that Debian's packages
# alone are enough; the third panics where the stories tell it to, and is never shipped.
vm-pieces: KERNELS += $(TEST_KERNELS)
vm-pieces: PROFILES += $(TEST_PROFILES)
vm-pieces: deps-test build init packages profiles kernels soak-guest release
	@LAMINA_OUT=$(LAMINA_OUT)/debian MUSL=debian init/build
	@LAMINA_OUT=$(LAMINA_OUT)/panics INIT_FEATURES=panic-for-tests MUSL=$(musl) init/build

test: deps-test
	@.ci/test

unit: deps-test
	@.ci/test unit

vm-test: deps-test
	@.ci/test vm

lint: deps-test
	@.ci/test lint

# The boot is measured with real mounts, which only root may make, and in virtual machines. What it prints can go to docs/results.
bench: deps-test build init profiles kernels
	@benches/image/run.sh
	@benches/disk/run.sh $(LAMINA_OUT)
	@benches/vm/run.sh $(LAMINA_OUT)
	@$(if $(filter 0,$(shell id -u)),,sudo env LAMINA_CACHE=$(LAMINA_CACHE)) benches/initramfs/run.sh $(LAMINA_OUT)
	@$(MAKE) --no-print-directory kernel && benches/kernel/run.sh $(LAMINA_OUT)
	@benches/build/run.sh
	@benches/build/planning.sh
	@benches/build/sandbox.sh
	@$(if $(filter 0,$(shell id -u)),,sudo env LAMINA_CACHE=$(LAMINA_CACHE)) benches/boot/run.sh $(LAMINA_OUT)

# Everything thousands of times; the summary is Markdown. MINUTES bounds each part that takes long.
soak: MINUTES ?= 60
soak: vm-pieces
	@rm -rf $(LAMINA_OUT)/kernels/linux-soak
	@$(lamina) kernel build --fragment state --name linux-soak --output $(LAMINA_OUT)/kernels/linux-soak
	@.ci/soak $(MINUTES)

# A sample of it is in `make test`: builder/tests/whole_tree.rs.
tree: deps-test
	@.ci/soak tree

# What runs inside the guests of the soak tests; samples of them are in `make test`.
soak-guest: deps
	@.ci/soak-guest

fresh: DEBIAN ?= 12
fresh: deps-test
	@$(if $(filter 0,$(shell id -u)),,sudo env LAMINA_CACHE=$(LAMINA_CACHE)) .ci/fresh $(if $(filter 13,$(DEBIAN)),trixie,bookworm)

clean:
	rm -rf out target
