# make            build ./criu/criu and ./criu/crit
# make check      everything that is tested (installs what it needs, see scripts/install-deps)
# make demo       migrate a redis-server between two network namespaces, lazily
# make bench      whole lazy migrations beside the machine's own limits (SIZE=MiB)
# make fuzz       every fuzz target for FUZZ_SECONDS (60)
# make install    into PREFIX (default /usr/local), DESTDIR honoured
# SAN=address,undefined builds with sanitizers into build-san/bin/

CC       ?= gcc
PREFIX   ?= /usr/local
VERSION  := 4.2
ARCH     := $(shell uname -m)
SAN      ?=
B        := build$(if $(SAN),-san)

CCACHE   := $(shell command -v ccache 2>/dev/null)
PKGS     := libprotobuf-c libnl-3.0 libnl-route-3.0 libbsd-overlay jansson liblz4 libzstd
WARN     := -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter
HARDEN   := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fstack-clash-protection -fcf-protection -fPIE
CFLAGS   ?= -O2 -g
CPPFLAGS += -D_GNU_SOURCE -DCRIU_VERSION='"$(VERSION)"' -I. -Icriu -Icriu/arch/$(ARCH) -I$(B) -I$(B)/images $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LDLIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lnet -lpthread -lm
LDFLAGS  += -pie -Wl,-z,relro,-z,now
ifneq ($(SAN),)
CFLAGS   := -O1 -g -fsanitize=$(SAN) -fno-omit-frame-pointer
HARDEN   := -fPIE
LDFLAGS  += -fsanitize=$(SAN)
endif
# -Wa,-I: criu/crit/hints.c takes the descriptor set in with .incbin
COMPILE   = $(CCACHE) $(CC) -std=gnu11 $(CPPFLAGS) $(CFLAGS) $(HARDEN) -Wa,-I$(B) -MMD -MP

PROTOS   := $(wildcard images/*.proto)
PB_C     := $(patsubst images/%.proto,$(B)/images/%.pb-c.c,$(PROTOS)) $(B)/images/google/protobuf/descriptor.pb-c.c
PB_O     := $(PB_C:.c=.o)

ALL_C    := $(shell find criu -name '*.c' -not -path 'criu/arch/*') $(wildcard criu/arch/$(ARCH)/*.c)
CRIT_C   := $(filter criu/crit/%,$(ALL_C))
SHARED_C := $(filter criu/image/% criu/util/% criu/mem/pagemap.c,$(ALL_C))
CRIU_C   := $(filter-out $(CRIT_C),$(ALL_C))
CRIU_S   := $(wildcard criu/arch/$(ARCH)/*.S)
obj       = $(patsubst %.S,$(B)/%.o,$(patsubst %.c,$(B)/%.o,$(1)))
CRIU_O   := $(call obj,$(CRIU_C) $(CRIU_S))
CRIT_O   := $(call obj,$(CRIT_C) $(SHARED_C))

OUT      := $(if $(SAN),$(B)/bin/,criu/)
CRIT     := $(if $(SAN),$(B)/bin/crit,criu/crit/crit)
all: $(OUT)criu $(CRIT)

# protobuf-c objects as one archive: only what is used is linked
$(B)/libimages.a: $(PB_O)
	@rm -f $@; ar rcs $@ $^

$(OUT)criu: $(CRIU_O) $(B)/libimages.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(CRIU_O) $(B)/libimages.a $(LDLIBS)

.PHONY: all check demo bench units fuzz fuzz-targets format format-check install clean
# criu/crit/ is the folder of its sources, so the tool is built inside it
$(CRIT): $(CRIT_O) $(B)/libimages.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(CRIT_O) $(B)/libimages.a $(LDLIBS)

$(B)/images/.stamp: $(PROTOS)
	@mkdir -p $(B)/images
	protoc-c -Iimages -I/usr/include --c_out=$(B)/images $(notdir $(PROTOS)) google/protobuf/descriptor.proto
	protoc -Iimages -I/usr/include --include_imports --descriptor_set_out=$(B)/images/images.pb $(notdir $(PROTOS))
	@touch $@
$(PB_C): $(B)/images/.stamp ;

$(B)/images/%.o: $(B)/images/%.c
	@$(COMPILE) -c -o $@ $<
$(B)/%.o: %.c $(B)/images/.stamp $(B)/syscall-names.h
	@mkdir -p $(@D)
	$(COMPILE) $(WARN) -c -o $@ $<
$(B)/%.o: %.S
	@mkdir -p $(@D)
	$(COMPILE) -c -o $@ $<

# names of system calls, for error messages
$(B)/syscall-names.h:
	@mkdir -p $(@D)
	@echo '#include <asm/unistd.h>' | $(CC) -E -dM - | sed -nE 's/^#define __NR_([a-z0-9_]+) [0-9]+$$/\t[__NR_\1] = "\1",/p' | sort >$@

# unit tests: each test/unit/NAME.c is a program that links with everything but main, and with test/unit/lib
UNIT_C   := $(wildcard test/unit/*.c)
UNIT_LIB := $(call obj,$(wildcard test/unit/lib/*.c))
UNITS    := $(patsubst test/unit/%.c,$(B)/unit/%,$(UNIT_C))
UNIT_DEP := $(filter-out $(B)/criu/main.o,$(CRIU_O)) $(call obj,$(filter-out criu/crit/main.c,$(CRIT_C)))
$(B)/unit/%: test/unit/%.c $(UNIT_DEP) $(UNIT_LIB) $(B)/libimages.a
	@mkdir -p $(@D)
	$(COMPILE) $(WARN) $(LDFLAGS) -o $@ $< $(UNIT_DEP) $(UNIT_LIB) $(B)/libimages.a $(LDLIBS) -lcmocka
$(B)/bench/engine: test/bench/engine.c $(UNIT_DEP) $(UNIT_LIB) $(B)/libimages.a
	@mkdir -p $(@D)
	$(COMPILE) $(WARN) $(LDFLAGS) -o $@ $< $(UNIT_DEP) $(UNIT_LIB) $(B)/libimages.a $(LDLIBS) -lcmocka
units: $(UNITS)

# fuzz targets: test/fuzz/NAME.c, built with clang into a folder of their own; corpus in test/fuzz/corpus/NAME
FUZZ_SECONDS ?= 60
FUZZ_SAN  := address,undefined -fno-sanitize-recover=undefined
FUZZERS   := $(patsubst test/fuzz/%.c,$(B)/fuzz/%,$(wildcard test/fuzz/*.c))
FUZZ_DEP  := $(UNIT_DEP)
$(B)/fuzz/%: test/fuzz/%.c $(FUZZ_DEP) $(B)/libimages.a
	@mkdir -p $(@D)
	$(COMPILE) $(WARN) $(LDFLAGS) -fsanitize=fuzzer,$(FUZZ_SAN) -o $@ $< $(FUZZ_DEP) $(B)/libimages.a $(LDLIBS)
fuzz-targets: $(FUZZERS)
fuzz:
	$(MAKE) B=build-fuzz CC=clang HARDEN=-fPIE CFLAGS='-O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,$(FUZZ_SAN)' \
		WARN='$(WARN) -Wno-missing-field-initializers -Wno-sign-compare' fuzz-targets
	for t in $(patsubst test/fuzz/%.c,%,$(wildcard test/fuzz/*.c)); do \
		mkdir -p build-fuzz/corpus/$$t && build-fuzz/fuzz/$$t -max_total_time=$(FUZZ_SECONDS) -max_len=16384 -timeout=5 -rss_limit_mb=1024 \
			-verbosity=0 -print_final_stats=1 -artifact_prefix=build-fuzz/$$t- build-fuzz/corpus/$$t test/fuzz/corpus/$$t || exit 1; done

format:
	clang-format -i $$(git ls-files 'criu/*.[ch]' 'test/*.[ch]')
format-check:
	clang-format --dry-run -Werror $$(git ls-files 'criu/*.[ch]' 'test/*.[ch]')

check:
	scripts/check
demo:
	scripts/demo
bench:
	test/bench/run && test/bench/redis

MANDIR   ?= $(PREFIX)/share/man
COMPDIR  ?= $(PREFIX)/share/bash-completion/completions
# the options in criu(8) are those of criu --help
install: all
	install -D -m 755 criu/criu $(DESTDIR)$(PREFIX)/sbin/criu
	install -D -m 755 $(CRIT) $(DESTDIR)$(PREFIX)/bin/crit
	scripts/options-to-man criu/criu >$(B)/criu.8
	for m in $(B)/criu.8 $(filter-out %/criu.8,$(wildcard Documentation/*.[1-8])); do \
		install -D -m 644 $$m $(DESTDIR)$(MANDIR)/man$${m##*.}/$${m##*/} || exit 1; done
	for c in $(wildcard scripts/completions/*); do \
		install -D -m 644 $$c $(DESTDIR)$(COMPDIR)/$${c##*/} || exit 1; done

clean:
	rm -rf build build-san build-fuzz criu/criu criu/crit/crit

-include $(shell find $(B) -name '*.d' 2>/dev/null)
