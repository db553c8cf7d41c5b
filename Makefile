# The one entry for people: demo, test, bench, fuzz, lint, build, install. Each sets up what it needs.

PACKAGES = libssl-dev liblz4-dev libsqlite3-dev pkg-config qemu-utils e2fsprogs xfsprogs xz-utils rsync strace util-linux \
	python3 python3-venv python3-libvhdi openssl openssh-server openssh-client iproute2 lz4 gcc g++ mandoc
RELEASE = swift build -c release --static-swift-stdlib --product

.PHONY: demo test test-build test-run bench bench-short bench-link fuzz lint build install uninstall setup packages \
	oracles images clean

# Makes a real disk and a stale replica of it, and brings the replica up to date.
demo: build
	Benchmarks/demo .build/release/vhdresync .build/demo

# Images that the project may read but not distribute. Without them their tests say so.
VHDRESYNC_REAL_IMAGES ?= $(realpath ../shared/images)
export VHDRESYNC_REAL_IMAGES

# All tests, unless TEST_OPTIONS say otherwise: of the code as it is built for use, which also makes them
# take half of the time.
TEST_BUILD ?= -c release -Xswiftc -enable-testing --scratch-path .build/tests

test: setup
	swift test $(TEST_BUILD) $(TEST_OPTIONS)

# Builds the tests without running them.
test-build: setup
	swift build --build-tests $(TEST_BUILD)

# Runs tests that are built. `swift test` locks what it has built, and this does not: several may run at once.
BUNDLE ?= .build/tests/release/vhdresyncPackageTests.xctest

test-run: setup
	$(BUNDLE) --testing-library swift-testing $(TEST_OPTIONS)

# Against cmp, qemu-img, rsync, others that are in PATH, and OpenSSL's own speed; a quarter of an hour. For parts of it,
# BENCH_OPTIONS="--only identical,changed".
bench: build
	Benchmarks/bench $(BENCH_OPTIONS)

# The same with small disks, one run each, and no judgement but on counts.
bench-short: build
	Benchmarks/bench --short

# Two hosts with a core each, and a slow and far link between them, beside rsync. As root.
bench-link: build
	Benchmarks/link

# Damaged images, streams and messages, thousands a minute: each target for so many seconds. Another seed, other images.
FUZZ_SECONDS ?= 60
FUZZ_SEED ?= 1
FUZZ_TARGETS ?= header region-table metadata parent-locator bat log image chain delta map \
	frame message session control

fuzz: packages
	$(RELEASE) fuzz
	@for target in $(FUZZ_TARGETS); do \
		.build/release/fuzz $$target --seed $(FUZZ_SEED) --seconds $(FUZZ_SECONDS) \
			$(FUZZ_OPTIONS) || exit 1; \
	done

lint:
	swift format lint --strict -r Sources Tests Benchmarks docs Package.swift

# The program and the C library, with the Swift libraries inside them: .build/release/vhdresync and
# .build/release/libvhdresync_c.so.
build: packages
	$(RELEASE) vhdresync
	$(RELEASE) vhdresync_c

# Installs what `make build` has built, or builds it if it is not there. Packages set DESTDIR.
PREFIX ?= /usr/local
DESTDIR ?=
# The folder of the build that is installed.
BUILT ?= .build/release

HEADER = Sources/VHDResyncABI/include/vhdresync.h
VERSION = $(shell sed -n 's/^.define VHDRESYNC_VERSION "\(.*\)"$$/\1/p' $(HEADER))
INSTALLED = $(DESTDIR)$(PREFIX)
LIBRARY = $(INSTALLED)/lib/libvhdresync_c.so
# What a program in Swift is built with: the sources of the modules, as a package.
SWIFT_PACKAGE = $(INSTALLED)/share/vhdresync
SWIFT_MODULES = CSystem CSHA256 COpenSSL CLZ4 CSQLite Storage Transport VHDX BlockIO Resync Replication

install: $(BUILT)/vhdresync $(BUILT)/libvhdresync_c.so
	install -d $(INSTALLED)/bin $(INSTALLED)/include $(INSTALLED)/lib/pkgconfig \
		$(INSTALLED)/share/man/man1 $(SWIFT_PACKAGE)
	install -m 755 $(BUILT)/vhdresync $(INSTALLED)/bin/vhdresync
	install -m 644 $(BUILT)/libvhdresync_c.so $(LIBRARY).$(VERSION)
	ln -sf libvhdresync_c.so.$(VERSION) $(LIBRARY).0
	ln -sf libvhdresync_c.so.0 $(LIBRARY)
	install -m 644 $(HEADER) $(INSTALLED)/include/vhdresync.h
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' \
		Sources/VHDResyncSharedLibrary/vhdresync.pc.in >$(INSTALLED)/lib/pkgconfig/vhdresync.pc
	install -m 644 docs/vhdresync.1 $(INSTALLED)/share/man/man1/vhdresync.1
	install -p -m 644 Package.swift $(SWIFT_PACKAGE)
	rm -rf $(SWIFT_PACKAGE)/Sources && install -d $(SWIFT_PACKAGE)/Sources
	cp -R --preserve=timestamps $(SWIFT_MODULES:%=Sources/%) $(SWIFT_PACKAGE)/Sources
	@case "$$(id -u) $(INSTALLED)" in "0 /usr/local" | "0 /usr") ldconfig ;; esac

$(BUILT)/vhdresync $(BUILT)/libvhdresync_c.so &:
	@test "$(BUILT)" = .build/release || { echo "install: there is no $@" >&2; exit 1; }
	$(MAKE) build

# The same names as above, and no folders in which others have files.
uninstall:
	rm -rf $(SWIFT_PACKAGE)
	rm -f $(INSTALLED)/bin/vhdresync $(LIBRARY) $(LIBRARY).0 $(LIBRARY).$(VERSION) \
		$(INSTALLED)/include/vhdresync.h $(INSTALLED)/lib/pkgconfig/vhdresync.pc \
		$(INSTALLED)/share/man/man1/vhdresync.1

# The project's own test images, made anew and checked.
images: packages
	TestImages/make-images

# Installs what is missing for build and tests, and nothing if nothing is.
setup: packages oracles

# The readers by others that the tests ask. Debian's Python, which alone sees Debian's modules.
ORACLES = .build/oracles
REQUIREMENTS = Tests/InteropTests/requirements.txt

oracles: packages
	@if cmp -s $(REQUIREMENTS) $(ORACLES)/requirements.txt; then exit 0; fi; \
	echo "setup: installing the packages of $(REQUIREMENTS) into $(ORACLES)"; \
	rm -rf $(ORACLES) && mkdir -p .build \
		&& /usr/bin/python3 -m venv --system-site-packages $(ORACLES) \
		&& $(ORACLES)/bin/pip install -q --disable-pip-version-check --no-deps \
			-r $(REQUIREMENTS) \
		&& cp $(REQUIREMENTS) $(ORACLES)/requirements.txt \
		|| { echo "setup: pip could not install the packages of $(REQUIREMENTS)" >&2; exit 1; }

# Installs the Debian packages that are missing, and nothing if none is.
packages:
	@command -v swift >/dev/null || { \
		echo "setup: there is no swift in PATH; install Swift 6.2 or later first" >&2; exit 1; }
	@missing=""; \
	for package in $(PACKAGES); do \
		dpkg-query -W -f='$${db:Status-Status}' $$package 2>/dev/null | grep -qx installed \
			|| missing="$$missing $$package"; \
	done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	as_root=""; \
	if [ "$$(id -u)" != 0 ]; then as_root="sudo"; fi; \
	if ! command -v apt-get >/dev/null || { [ -n "$$as_root" ] && ! command -v sudo >/dev/null; }; then \
		echo "setup: cannot install packages here; these are missing:$$missing" >&2; exit 1; \
	fi; \
	echo "setup: installing$$missing"; \
	apt="$$as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -q"; \
	{ $$apt install -y --no-install-recommends $$missing \
		|| { $$apt update && $$apt install -y --no-install-recommends $$missing; }; } \
		|| { echo "setup: apt-get could not install:$$missing" >&2; exit 1; }

clean:
	rm -rf .build
