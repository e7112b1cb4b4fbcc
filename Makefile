# make           build/cleanup-grpc                  make check       unit tests
# make demo      the program against a fake API      make test        all tests (PYTEST_ARGS=...)
# make asan      with ASan and UBSan                 make lint        ban list, analysers, format
# make static    static-PIE for the image            make image       image (docker or buildah)
# make image-test build the image and try it out     make fmt         reformat (fmt-check: compare)
# make fuzz      libFuzzer on the parsers            make timeline    draw the README's picture
# make faults    the table of all faults             make longlife    100,000 checks
# make sim       whole lives in a simulated cluster  make valgrind    some scenarios, slowly
# make static-arm64, tls-test, reproducible          make seccomp-trace   where seccomp.json is from
# make dns-test  names that resolve as curl's do
# make bench     what it costs, beside kubectl       make fleet       N=1000 of them at once
# make mutants   would a mistake be noticed?         make sim-all     every event at every request
# make e2e       scenarios on a real API server      make control-plane  build one (Debian 12)
# make deps      install what the tests need         make clean       remove build/
# Debian >= 12 or Ubuntu >= 24.04. What is missing is installed by the targets demo, test, asan,
# lint, static and image-test, as root or with sudo.
PROG    := cleanup-grpc
VERSION := 2.0.0
LIBS    := libcurl jansson openssl
B       ?= build
PY      := /usr/bin/python3
SRCS    := $(wildcard *.c)
OBJS    := $(SRCS:%.c=$(B)/%.o)
UNITS   := $(filter-out $(B)/cleanup.o,$(OBJS))
TESTS   := $(patsubst test/%.c,$(B)/test/%,$(wildcard test/test_*.c))

CFLAGS  ?= -O2 -g
# Where CI is set, a warning is an error, whatever is built.
BASE    := -std=gnu17 -D_GNU_SOURCE -DVERSION='"$(VERSION)"'
WARN    := -Wall -Wextra -Wformat=2 -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
           -Wold-style-definition -Wwrite-strings -Wcast-qual -Wpointer-arith -Wredundant-decls \
           -Wundef -Wvla -Wimplicit-fallthrough -Wswitch-enum $(if $(CI),-Werror)
FORTIFY  = $(shell [ "$$($(CC) -dumpversion | cut -d. -f1)" -ge 12 ] 2>/dev/null && echo 3 || echo 2)
HARDEN  ?= -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$(FORTIFY) -fstack-protector-strong \
           -fstack-clash-protection
LINK    ?= -pie
RELRO   := -Wl,-z,relro,-z,now,-z,noexecstack
PKG     ?= pkg-config
# "=": asked only when something is compiled, after "make deps"; -isystem: their headers do not warn
INC      = $(subst -I,-isystem ,$(shell $(PKG) --cflags $(LIBS)))
LDLIBS   = $(shell $(PKG) --libs $(LIBS))
SAN     := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all deps deps-demo deps-static deps-lint deps-image deps-fuzz deps-e2e check test \
        demo timeline asan valgrind faults longlife bench fleet e2e control-plane fuzz mutants libcurl static \
        image image-test lint fmt fmt-check readme clean help version

all: $(B)/$(PROG)

$(B)/$(PROG): $(OBJS)
	$(CC) $(CFLAGS) $(LINK) $(RELRO) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(B)/test/test_%: $(B)/test/test_%.o $(UNITS)
	$(CC) $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS)

# What static/parts.sh knows of the static binary's libraries; of others, the machine's packages do.
$(B)/cleanup.o: override CPPFLAGS += $(addprefix -include ,$(wildcard $(B)/parts.h))

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(BASE) -MMD -MP $(WARN) $(HARDEN) -fPIE $(INC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# ---- The simulated cluster: the whole program but http*.c, on virtual time (docs/design.md) ----

SIM      := build/sim
SIM_C    := $(wildcard test/sim/*.c)
SIM_PROG := $(filter-out http.c http_tls.c loop.c,$(SRCS))
SIM_WRAP := clock_gettime getrandom signalfd read write sigprocmask sigaction prctl malloc_trim
SIM_ARGS ?= $(if $(LIVES),--lives $(LIVES))

# Its statics in sections of their own, so that each start of the program finds them as they were.
$(B)/prog.o: $(SIM_PROG:%.c=$(B)/%.o)
	$(LD) -r -o $@ $^
	objcopy $(foreach f,printf puts putchar,--redefine-sym $f=prog_$f) --rename-section .data=prog_data --rename-section .data.rel.local=prog_data --rename-section .data.rel=prog_data \
		--rename-section .bss=prog_bss,alloc,load,data,contents $@

$(B)/sim: $(SIM_C:%.c=$(B)/%.o) $(B)/prog.o
	$(CC) $(CFLAGS) $(LINK) $(LDFLAGS) $(SIM_WRAP:%=-Wl,--wrap=%) -o $@ $^ -l:libjansson.a

# where most of many cases are none of a file's; and names are cut, where a story is absurd
$(B)/test/sim/%.o: WARN += -Wno-switch-enum -Wno-format-truncation

# sim: LIVES of them, both cores. sim-all: every adverse event at every request of some stories, and
# every pair. sim-asan: as sim, with the sanitizers. sim-mutations: would a mistake be noticed?
.PHONY: sim sim-all sim-asan sim-build sim-mutations
sim-build:
	@$(MAKE) -s $(SIM)/sim B=$(SIM) HARDEN= CPPFLAGS="-Dmain=cleanup_main -Wno-missing-prototypes"
sim: sim-build
	$(SIM)/sim $(SIM_ARGS)
sim-all: sim-build
	$(SIM)/sim --all test/sim/stories/*.txt
sim-mutations:
	test/sim/mutations.sh
sim-asan:
	@$(MAKE) -s $(SIM)-asan/sim B=$(SIM)-asan HARDEN= CFLAGS='-O1 -g $(SAN)' CPPFLAGS="-Dmain=cleanup_main -Wno-missing-prototypes"
	ASAN_OPTIONS=detect_leaks=0:handle_segv=0 $(SIM)-asan/sim $(SIM_ARGS)

# ---- Packages: $(call install,LIST) installs what is missing of it, and says so ----

BUILD_DEPS  := gcc libc6-dev pkg-config libcurl4-openssl-dev libjansson-dev libssl-dev
DEMO_DEPS   := $(BUILD_DEPS) python3 openssl
TEST_DEPS   := $(DEMO_DEPS) libcmocka-dev python3-pytest python3-pytest-xdist python3-yaml \
               faketime rabbitmq-server python3-pika python3-seccomp strace \
               dnsmasq-base curl iproute2 dpkg-dev
STATIC_DEPS  = $(BUILD_DEPS) dpkg-dev perl $(CROSS_DEPS)
LINT_DEPS   := $(BUILD_DEPS) libcmocka-dev cppcheck clang-tidy clang-format python3
IMAGE_DEPS  := buildah debootstrap python3 openssl

# Sets $sudo, or fails: root needs none; who may use it without a password, or has a terminal to be
# asked for one, gets it.
become_root = if [ $$(id -u) = 0 ]; then sudo=; \
	elif sudo -n true 2>/dev/null; then sudo=sudo; \
	elif (: </dev/tty) 2>/dev/null && command -v sudo >/dev/null && sudo true; then sudo=sudo; \
	else false; fi

install = @missing=$$(for p in $(1); do dpkg-query -W -f '$${db:Status-Status}' $$p 2>/dev/null | \
	grep -q ^installed || echo $$p; done); \
	[ -n "$$missing" ] || { echo "$@: all packages are there"; exit 0; }; \
	$(become_root) || { echo "$@: packages are missing, and only root can install them. As root:"; \
		echo "    apt-get install --no-install-recommends" $$missing; exit 1; } >&2; \
	echo "$@: installing" $$missing; \
	$$sudo apt-get -qq update || echo "$@: going on with the package lists that are there"; \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 \
		-o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
		install -y --no-install-recommends $$missing >/dev/null

deps:
	$(call install,$(TEST_DEPS))
deps-demo:
	$(call install,$(DEMO_DEPS))
deps-static:
	$(call install,$(STATIC_DEPS))
	@{ $(become_root); } && $$sudo env DEBIAN_FRONTEND=noninteractive \
		apt-get -qq -o DPkg::Lock::Timeout=300 install -y --only-upgrade libssl-dev \
		>/dev/null || echo "$@: going on with the libssl-dev that is there"
deps-lint:
	$(call install,$(LINT_DEPS))
deps-fuzz:
	$(call install,$(FUZZ_DEPS))
deps-e2e:
	$(call install,$(E2E_DEPS))
deps-image:
	$(call install,$(IMAGE_DEPS))

# ---- Tests: the scenarios wait more than they work, so several run at a time ----

PYTEST_ARGS ?= -q -n 8 --dist loadgroup

check: $(TESTS)
	@bad=0; for t in $^; do echo "== $$t"; $$t || bad=1; done; exit $$bad

test: deps
	$(MAKE) all check sim-build
	$(PY) -m pytest $(PYTEST_ARGS) test

demo: deps-demo
	@echo "demo: building $(B)/$(PROG)"
	@$(MAKE) -s all
	$(PY) test/demo.py $(B)/$(PROG)

# Under the sanitizers: the unit tests; whole lives, which try what is decided; and the scenarios of
# bytes, sockets, signals and memory. A status of its own (99): no scenario takes a finding for one
# of the program's.
ASAN_TESTS := check fields invocation kill memory process rabbitmq readings secrets settings signals sweep \
	teardown timeline torture transport watching whose_job
asan: export ASAN_OPTIONS  := detect_leaks=1:exitcode=99
asan: export LSAN_OPTIONS  := exitcode=99
asan: export UBSAN_OPTIONS := print_stacktrace=1:exitcode=99
asan: deps
	$(MAKE) all check B=build/asan HARDEN= CFLAGS='-O1 -g -Werror $(SAN)'
	$(MAKE) sim-asan LIVES=$(or $(LIVES),10000)
	CLEANUP_BIN="$$PWD/build/asan/$(PROG)" $(PY) -m pytest $(PYTEST_ARGS) $(ASAN_TESTS:%=test/test_%.py)

# The scenarios that do not depend on how fast the program is: valgrind is 20 times slower.
VALGRIND_TESTS := watching readings teardown check process
VALGRIND_ONLY  := (order_of_an_idle or every_delete_carries or what_may_pass or open_outcome or \
	deleted_job_is_gone or newcomer or hold_stops or 410_in or expired_version or two_events or \
	line_that_cannot_be_read or a_signal or the_table or broker_that_cannot or help_names or \
	every_bad_value or list_too_large or 403_is_final) and not 1.26 and not services and \
	not threshold_is and not 5
valgrind: deps
	$(call install,valgrind)
	$(MAKE) all
	CLEANUP_BIN="$$PWD/test/valgrind.sh" $(PY) -m pytest -q -n 2 -k '$(VALGRIND_ONLY)' \
		$(VALGRIND_TESTS:%=test/test_%.py)

# The main scenarios against a real control plane: KUBEBUILDER_ASSETS, or kubectl's current context.
# make control-plane builds one (Kubernetes 1.20) from Debian 12's source package: 8 minutes of CPU.
E2E_DEPS := golang-go jq rsync make dpkg-dev

e2e: export KUBEBUILDER_ASSETS ?= $(if $(wildcard build/control-plane/stamp),build/control-plane)
e2e: deps
	$(MAKE) all
	CLEANUP_BIN="$$(realpath $(B)/$(PROG))" PYTHONPATH=test $(PY) -m e2e $(E2E_ARGS)

control-plane: deps-e2e
	test/e2e/control-plane.sh build/control-plane

# Every request and every fault, once, for a minute, for ever: a table. make test plays those of the
# transport, once; what answers say is the simulator's part there.
faults: deps all
	$(PY) test/faults_table.py

# 100,000 checks and 1,000 watches: memory, descriptors and connections stay as they are.
longlife: deps all
	$(PY) test/longlife.py 100000 1000

# What it costs, beside a loop over kubectl; and N of them at once.
N          ?= 1000
bench: deps static
	$(STATIC_CC) $(SECTIONS) -fPIE $(STATIC_LINK) $$($(STATIC_PKG) --cflags libcurl) -o $(S)/floor \
		test/bench/floor.c $$($(STATIC_PKG) --libs libcurl jansson)
	$(PY) test/bench/bench.py $(S)/$(PROG) $(S)/floor
fleet: deps static
	$(PY) test/bench/fleet.py $(S)/$(PROG) $(N)

# Each input from outside, SECONDS each, two at a time: make fuzz SECONDS=600
SECONDS      ?= 20
FUZZ_TARGETS := env job metrics quantity queues status token watch
FUZZ_DEPS    := $(BUILD_DEPS) clang libclang-rt-14-dev python3

fuzz: deps-fuzz
	$(PY) test/fuzz_corpus.py build/fuzz/corpus
	$(MAKE) B=build/fuzz CC=clang HARDEN= CFLAGS='-O1 -g $(SAN) -fsanitize=fuzzer-no-link' \
		$(FUZZ_TARGETS:%=build/fuzz/fuzz_%)
	printf '%s\n' $(FUZZ_TARGETS) | xargs -P 2 -I{} test/fuzz.sh {} $(SECONDS)

$(B)/fuzz_%: test/fuzz.c $(UNITS)
	$(CC) $(BASE) $(INC) $(CFLAGS) -fsanitize=fuzzer -DTARGET=fuzz_$* -o $@ $^ $(LDLIBS)

# Small changes to the decision core, one at a time: does a test or the simulation notice?
# make mutants MUTANTS=50 for a sample, PART=1/4, MUTANTS_OF='plan.c fate.c' for some files.
export MUTANTS
mutants: deps
	$(PY) test/mutants.py $(MUTANTS_OF)

# ---- The image: a static binary, and nothing else ----

# ARCH=arm64 (or amd64): for a machine of another kind than this one, with Debian's cross-compiler.
ARCH        ?=
override ARCH := $(if $(ARCH),$(filter-out $(shell dpkg --print-architecture),$(ARCH)))
# DEBIAN_RELEASE=trixie: OpenSSL and libcurl from its source packages, the rest is this machine's; an
# image is built on that release, as a whole.
DEBIAN_RELEASE ?=
OTHER_RELEASE := $(if $(DEBIAN_RELEASE),$(filter-out \
               $(shell . /etc/os-release && echo $$VERSION_CODENAME),$(DEBIAN_RELEASE)))
TRIPLET     := $(ARCH:arm64=aarch64-linux-gnu)
TRIPLET     := $(TRIPLET:amd64=x86_64-linux-gnu)
CROSS_DEPS   = $(if $(ARCH),gcc-$(subst _,-,$(TRIPLET)) libc6-dev-$(ARCH)-cross)
EMULATOR     = $(if $(ARCH),qemu-$(TRIPLET:-linux-gnu=)-static)
S           := build/static$(ARCH:%=-%)$(OTHER_RELEASE:%=-%)
STATIC_MAX  ?= 3900000
# What linking the distribution's OpenSSL takes, where no trimmed one can be made (static/openssl.sh)
ARCHIVE_MAX := 6000000
STATIC_CC    = $(if $(ARCH),$(TRIPLET)-gcc,$(CC))
# No unwind tables: who would read them? The program allows no core dump.
SECTIONS    := -Os -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables
# pack-relative-relocs: 0.4 MB less; wants glibc >= 2.36 and binutils >= 2.38 (arm64: 2.41)
STATIC_LINK := -static-pie -s -Wl,--gc-sections,-z,pack-relative-relocs $(if $(ARCH),-B$(S)/libc/lib)
STATIC_LIBS := openssl libcurl
PC_DIRS      = $(patsubst %,$(S)/%/lib/pkgconfig,$(STATIC_LIBS) $(ARCH:%=jansson))
STATIC_PKG   = env $(if $(ARCH),PKG_CONFIG_LIBDIR,PKG_CONFIG_PATH)=$(subst $() ,:,$(PC_DIRS)) \
               pkg-config --static
LIBS_ENV     = DEBIAN_RELEASE=$(DEBIAN_RELEASE) CC='$(STATIC_CC)' HOST=$(TRIPLET) CFLAGS='$(SECTIONS) -fPIE $(HARDEN)'

.PHONY: libs static-test deps-emulator openssl-test tls-test dns-test static-arm64 static-arm64-test \
        seccomp-trace reproducible
libs: deps-static
	@$(LIBS_ENV) static/foreign.sh $(S)
	@for l in $(STATIC_LIBS); do $(LIBS_ENV) static/$$l.sh $(S)/$$l || exit 1; done
libcurl: libs

# The linker warns of getaddrinfo & co., which may load shared libraries: not for the files and the DNS,
# which glibc >= 2.34 has built in, and in an image from scratch no nsswitch.conf names others.
static: libs
	@rm -f $(S)/$(PROG) # the libraries may be new ones
	static/parts.sh $(S) '$(STATIC_CC)'
	$(MAKE) all B=$(S) CC='$(STATIC_CC)' LINK='$(STATIC_LINK)' CFLAGS='$(SECTIONS)' \
		PKG='$(STATIC_PKG)'
	RUN=$(EMULATOR) static/check.sh $(S)/$(PROG) \
		$$(grep -q archive $(S)/openssl/origin && echo $(ARCHIVE_MAX) || echo $(STATIC_MAX))
	static/spdx.sh $(S) $(PROG) $(VERSION) >$(S)/sbom.spdx.json
	@cut -d'|' -f 1-3 --output-delimiter='  ' $(S)/parts

# What only the static binary can show: under seccomp.json, its memory, and tens of thousands of things.
static-test: deps static
	$(PY) static/spdx_check.py $(S)/sbom.spdx.json $(S)/$(PROG)
	CLEANUP_STATIC="$$PWD/$(S)/$(PROG)" $(PY) -m pytest -q test/test_seccomp.py test/test_footprint.py test/test_rabbitmq.py \
		test/test_sweep.py test/test_sweep_queues.py \
		-k 'seccomp or footprint or 20_000 or thousand'

# Each system call of the static binary, and what seccomp.json makes of it.
seccomp-trace: deps static
	$(PY) test/seccomp_trace.py $(S)/$(PROG) seccomp.json

static-arm64:
	$(MAKE) static ARCH=arm64

# Scenarios with the arm64 binary, emulated.
ARM64_TESTS := noticed_at_once or idle_teardown or the_summary
deps-emulator:
	$(call install,qemu-user-static)
static-arm64-test: deps deps-emulator
	$(MAKE) static-arm64
	static/emulate.sh qemu-aarch64-static build/static-arm64$(OTHER_RELEASE:%=-%)/$(PROG) --version
	CLEANUP_BIN="$$PWD/build/static-arm64$(OTHER_RELEASE:%=-%)/run" $(PY) -m pytest -q -n 2 \
		test/test_watching.py test/test_teardown.py -k '$(ARM64_TESTS)'

# What the trimmed OpenSSL can still do, against the distribution's openssl s_server.
tls-test: static
	static/tls-test.sh $(S)/$(PROG)

# Names, with good and bad name servers: what Debian's curl does with the same files. As root.
dns-test: deps static
	@{ $(become_root); } && for wrong in "" --wrong; do \
		$$sudo $(PY) test/dns_test.py $(S)/$(PROG) seccomp.json $$wrong || exit 1; done

# OpenSSL's own tests, for what is left of it. Takes minutes.
openssl-test: deps-static
	$(LIBS_ENV) static/openssl.sh --test $(S)/openssl-test

# Builds everything once more, in another place, and compares.
reproducible: static
	static/reproducible.sh $(S) $(PROG)

image:
	$$(docker info >/dev/null 2>&1 && echo docker build || echo buildah bud) \
		-t $(PROG):$(VERSION) --build-arg VERSION=$(VERSION) \
		$(DEBIAN_RELEASE:%=--build-arg DEBIAN_RELEASE=%) .

image-test: deps-image
	test/image-test.sh $(VERSION) $(DEBIAN_RELEASE)

# ---- Care ----

BANNED := sprintf|vsprintf|strcpy|strcat|strncpy|strncat|strtok|atoi|atol|sscanf|gets|system|popen|usleep
C_TEST  = $(wildcard test/*.[ch] test/sim/*.[ch] test/bench/*.c)

lint: deps-lint fmt-check
	@! grep -nE '\b($(BANNED))[ ]?\(' *.[ch] || { echo 'lint: banned call'; exit 1; }
	@awk -f test/length.awk *.[ch] $(C_TEST)
	@for f in static/*.sh test/*.sh test/*/*.sh .ci/run; do bash -n $$f || exit 1; done
	PYTHONPYCACHEPREFIX=build/pycache $(PY) -m py_compile $$(find test docs -name '*.py')
	cppcheck --quiet --error-exitcode=1 --enable=warning,portability,performance --inline-suppr \
		--std=c11 --suppress=missingIncludeSystem -D_GNU_SOURCE -DVERSION='""' $(SRCS)
	@mkdir -p build
	printf '%s\n' $(SRCS) $(filter %.c,$(C_TEST)) | xargs -P 2 -I{} clang-tidy --quiet \
		--warnings-as-errors='*' {} -- $(BASE) $(INC) 2>build/clang-tidy.err || \
		{ grep -v 'warnings\? generated' build/clang-tidy.err; exit 1; }

fmt:
	clang-format -i *.[ch] $(C_TEST)
fmt-check:
	clang-format --dry-run -Werror *.[ch] $(C_TEST)

# The README's picture, from the log of a run that it makes.
timeline: deps-demo all
	$(PY) docs/timeline.py $(B)/$(PROG) > $(B)/timeline.svg
	mv $(B)/timeline.svg docs/timeline.svg

# The README's table of settings, from the table that parses them.
readme: all
	@{ sed '/<!-- settings/q' README.md; echo; $(B)/$(PROG) --help=markdown; echo; \
		sed -n '/<!-- \/settings/,$$p' README.md; } > $(B)/README.md
	@mv $(B)/README.md README.md

clean:
	$(RM) -r build

version:
	@echo $(VERSION)

help:
	@sed -n '/^#/!q; s/^# //p' Makefile

-include $(OBJS:.o=.d) $(TESTS:=.d) $(SIM_C:%.c=$(B)/%.d)
