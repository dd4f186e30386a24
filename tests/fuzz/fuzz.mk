# SPDX-License-Identifier: MIT
# Builds the fuzzers with clang, apart from the rest, and runs each for
# FUZZ_SECONDS. "make fuzz" calls it in the build directory, with srcdir,
# FUZZ_DEFS, FUZZ_CPPFLAGS and FUZZ_LIBS. What is found stays in fuzz/.

FUZZ_CC = clang
FUZZ_SECONDS = 10

names := $(patsubst $(srcdir)/tests/fuzz/fuzz_%.c,%,$(wildcard $(srcdir)/tests/fuzz/fuzz_*.c))
rooms := platform protocol shared session worker agent client
sources := $(shell find $(rooms:%=$(srcdir)/src/%) -name '*.c')
objects := $(patsubst $(srcdir)/%.c,fuzz/%.o,$(filter-out %/main.c,$(sources)))
fuzzers := $(names:%=fuzz/fuzz_%)

san = address,undefined
cflags = -std=gnu17 -g -O1 -Wall -Wextra -fno-omit-frame-pointer -fno-sanitize-recover=undefined
cppflags = -D_GNU_SOURCE -DPACKAGE_VERSION='"fuzz"' $(filter -DHAVE_%,$(FUZZ_DEFS)) $(FUZZ_CPPFLAGS) -MMD -MP
limits = -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=20 -rss_limit_mb=1024

# Their time is what the bytes make it.
fuzz/fuzz_client_step fuzz/fuzz_client_calls: ldflags = -Wl,--wrap=clock_mono_ms

.PHONY: all build
.SECONDARY:
all: $(names:%=run-%)
build: $(fuzzers)

run-%: fuzz/fuzz_%
	@mkdir -p fuzz/corpus/$*
	@echo "fuzz: $* for $(FUZZ_SECONDS) s"
	@./$< $(limits) -artifact_prefix=fuzz/$*- fuzz/corpus/$* $(srcdir)/tests/fuzz/corpus/$* \
		>fuzz/$*.log 2>&1 || { tail -n 60 fuzz/$*.log; exit 1; }
	@grep -h '^Done' fuzz/$*.log

$(fuzzers): fuzz/fuzz_%: fuzz/tests/fuzz/fuzz_%.o fuzz/all.a
	@$(FUZZ_CC) -fsanitize=fuzzer,$(san) -o $@ $^ $(ldflags) $(FUZZ_LIBS)

fuzz/all.a: $(objects)
	@rm -f $@ && ar cr $@ $^

fuzz/%.o: $(srcdir)/%.c
	@mkdir -p $(@D)
	@$(FUZZ_CC) $(cppflags) $(cflags) -fsanitize=fuzzer-no-link,$(san) -c -o $@ $<

-include $(objects:.o=.d) $(names:%=fuzz/tests/fuzz/fuzz_%.d)
