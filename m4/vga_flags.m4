# SPDX-License-Identifier: MIT
# Compiler and linker flags of this project; each is asked for, none is assumed.

# VGA_TRY_CFLAG(VARIABLE, FLAG): append FLAG to VARIABLE where the compiler takes it.
AC_DEFUN([VGA_TRY_CFLAG], [
  AC_MSG_CHECKING([whether $CC takes $2])
  vga_saved_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -Werror $2"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
    [AC_MSG_RESULT([yes]); $1="$$1 $2"],
    [AC_MSG_RESULT([no])])
  CFLAGS=$vga_saved_CFLAGS
])

# VGA_TRY_LDFLAG(VARIABLE, FLAG): the same for a linker flag.
AC_DEFUN([VGA_TRY_LDFLAG], [
  AC_MSG_CHECKING([whether the linker takes $2])
  vga_saved_LDFLAGS=$LDFLAGS
  LDFLAGS="$LDFLAGS -Wl,--fatal-warnings $2"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
    [AC_MSG_RESULT([yes]); $1="$$1 $2"],
    [AC_MSG_RESULT([no])])
  LDFLAGS=$vga_saved_LDFLAGS
])

# VGA_TRY_RUN_LDFLAG(VARIABLE, FLAG): the same for one that the C library here must
# understand when a program starts; of a cross build's glibc the version says so.
AC_DEFUN([VGA_TRY_RUN_LDFLAG], [
  AC_MSG_CHECKING([whether a program linked with $2 runs])
  vga_saved_LDFLAGS=$LDFLAGS
  LDFLAGS="$LDFLAGS $VGA_LDFLAGS $VGA_PIE -Wl,--fatal-warnings $2"
  vga_saved_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS $VGA_CFLAGS -Wno-error"
  AC_RUN_IFELSE([AC_LANG_PROGRAM([[static const char *const words[] = { "a", "b" };
    const char *const *volatile pointer = words;]], [[return pointer[1][0] != 'b';]])],
    [AC_MSG_RESULT([yes]); $1="$$1 $2"],
    [AC_MSG_RESULT([no])],
    [AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <features.h>
#if !defined(__GLIBC__) || !__GLIBC_PREREQ(2, 36)
#error it is not known to
#endif
      static const char *const words[] = { "a", "b" };
      const char *const *volatile pointer = words;]], [[return pointer[1][0] != 'b';]])],
      [AC_MSG_RESULT([as its C library does]); $1="$$1 $2"],
      [AC_MSG_RESULT([not known])])])
  LDFLAGS=$vga_saved_LDFLAGS
  CFLAGS=$vga_saved_CFLAGS
])

# VGA_FALSE_WARNINGS: gcc before 11 takes an initializer for one that names no members, where
# the value of one is an expression of statements, as atomic_load() is. It also finds results
# without a value where the function that gives them was put into its caller.
AC_DEFUN([VGA_FALSE_WARNINGS], [
  AC_MSG_CHECKING([whether $CC knows designated initializers by their names])
  vga_saved_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -std=gnu17 -Werror -Wmissing-field-initializers"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[struct pair { int a, b; };]],
    [[struct pair pair = { .a = __extension__ ({ int one = 1; one; }) }; return pair.b;]])],
    [AC_MSG_RESULT([yes])],
    [AC_MSG_RESULT([no])
     VGA_CFLAGS="$VGA_CFLAGS -Wno-missing-field-initializers -Wno-maybe-uninitialized"])
  CFLAGS=$vga_saved_CFLAGS
])

# VGA_WARNINGS: the warnings the code is kept free of; --enable-werror for CI.
AC_DEFUN([VGA_WARNINGS], [
  AC_ARG_ENABLE([werror],
    [AS_HELP_STRING([--enable-werror], [treat compiler warnings as errors])],
    [], [enable_werror=no])
  VGA_CFLAGS="-std=gnu17"
  m4_foreach_w([vga_flag],
    [-Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
     -Wformat=2 -Wundef -Wpointer-arith -Wvla -Wwrite-strings],
    [VGA_TRY_CFLAG([VGA_CFLAGS], vga_flag)])
  VGA_FALSE_WARNINGS
  AS_VAR_IF([enable_werror], [yes], [VGA_CFLAGS="$VGA_CFLAGS -Werror"])
  AC_SUBST([VGA_CFLAGS])
])

# VGA_TRY_STATIC_PIE: puts -static-pie into VGA_STATIC, where the compiler knows what it is:
# musl-gcc links a program that asks for a dynamic linker.
AC_DEFUN([VGA_TRY_STATIC_PIE], [
  AC_CHECK_TOOL([READELF], [readelf], [readelf])
  AC_MSG_CHECKING([whether $CC -static-pie links statically])
  vga_saved_LDFLAGS=$LDFLAGS
  vga_saved_CFLAGS=$CFLAGS
  LDFLAGS="$LDFLAGS -static-pie"
  CFLAGS="$CFLAGS -fPIE"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [
    AS_IF([$READELF -lW conftest$EXEEXT >conftest.headers && ! grep -q INTERP conftest.headers],
      [AC_MSG_RESULT([yes]); VGA_STATIC=-static-pie],
      [AC_MSG_RESULT([no, so it is at one address always])])],
    [AC_MSG_RESULT([no, so it is at one address always])])
  LDFLAGS=$vga_saved_LDFLAGS
  CFLAGS=$vga_saved_CFLAGS
])

# VGA_HARDENING: position independence, RELRO, stack protection (of every function that
# has an array of characters or bytes, however short: -strong adds those that have none
# and pass on the address of a variable, for 7 KiB), shadow stacks (but no landing pads,
# which Linux does not check in programs) and FORTIFY; sections that the linker can drop,
# and no tables for exceptions. --disable-hardening for experiments.
AC_DEFUN([VGA_HARDENING], [
  AC_ARG_ENABLE([hardening],
    [AS_HELP_STRING([--disable-hardening], [build without hardening flags])],
    [], [enable_hardening=yes])
  VGA_LDFLAGS=
  VGA_PIE=
  VGA_STATIC=-static
  AS_VAR_IF([enable_hardening], [yes], [
    m4_foreach_w([vga_flag],
      [-fstack-protector --param=ssp-buffer-size=1 -fstack-clash-protection]
      [-fcf-protection=return] [-mbranch-protection=standard],
      [VGA_TRY_CFLAG([VGA_CFLAGS], vga_flag)])
    AS_CASE([" $CFLAGS "],
      [*" -O0 "*], [],
      [VGA_TRY_CFLAG([VGA_CFLAGS], [-D_FORTIFY_SOURCE=2])])
    VGA_TRY_LDFLAG([VGA_LDFLAGS], [-Wl,-z,relro])
    VGA_TRY_LDFLAG([VGA_LDFLAGS], [-Wl,-z,now])
    VGA_TRY_LDFLAG([VGA_LDFLAGS], [-Wl,-z,noexecstack])
    VGA_TRY_CFLAG([VGA_CFLAGS], [-fPIE])
    VGA_TRY_LDFLAG([VGA_PIE], [-pie])
    VGA_TRY_STATIC_PIE
  ])
  # Nothing here unwinds; a debugger has its own tables, from -g.
  m4_foreach_w([vga_flag],
    [-ffunction-sections -fdata-sections -fno-unwind-tables -fno-asynchronous-unwind-tables],
    [VGA_TRY_CFLAG([VGA_CFLAGS], vga_flag)])
  VGA_TRY_LDFLAG([VGA_LDFLAGS], [-Wl,--gc-sections])
  VGA_TRY_LDFLAG([VGA_LDFLAGS], [-Wl,--as-needed])
  # So that what is MEMORY_LARGE is the last.
  VGA_TRY_LDFLAG([VGA_LDFLAGS], [-Wl,--sort-section=name])
  VGA_TRY_LDFLAG([VGA_LDFLAGS], [-Wl,--spare-dynamic-tags=0])
  # What the compiler's start files ask for in case it is there (gprof, transactions) is not.
  VGA_TRY_LDFLAG([VGA_LDFLAGS], [-Wl,-z,nodynamic-undefined-weak])
  AS_VAR_IF([enable_static], [yes], [VGA_PIE=$VGA_STATIC])
  AC_SUBST([VGA_LDFLAGS])
  AC_SUBST([VGA_PIE])
  AC_SUBST([VGA_STATIC])
])

# VGA_SMALL: a smaller image. -Oz alone still keeps in registers what costs more code to
# keep there than to make again, puts what is called once into its caller, which then has
# too few registers for both, repeats the ends of functions, and begins each table at a
# line of the cache. Without the passes of -fexpensive-optimizations and its neighbours
# the code is smaller by 1.6 KiB, and a session takes as many instructions.
# VGA_LTO is for the agent's link alone: the objects have both forms, and what is linked
# for tests need not wait for the optimizer.
AC_DEFUN([VGA_SMALL], [
  VGA_LTO=
  VGA_NO_LTO=
  vga_smaller=
  AS_VAR_IF([vga_small], [yes], [
    m4_foreach_w([vga_flag],
      [-Oz -fno-move-loop-invariants -fno-caller-saves -fno-inline-functions-called-once
       -malign-data=abi -fno-gcse -fno-cse-follow-jumps -fno-expensive-optimizations
       -fno-tree-tail-merge -fno-ipa-modref -fno-shrink-wrap -fno-guess-branch-probability
       -fno-optimize-sibling-calls],
      [VGA_TRY_CFLAG([vga_smaller], vga_flag)])
  ])
  CFLAGS="$CFLAGS$vga_smaller"
  VGA_TRY_CFLAG([VGA_CFLAGS], [-fno-plt])
  VGA_TRY_RUN_LDFLAG([VGA_LDFLAGS], [-Wl,-z,pack-relative-relocs])
  AS_VAR_IF([enable_sanitize], [yes], [], [
    vga_lto=
    VGA_TRY_CFLAG([vga_lto], [-flto=auto -ffat-lto-objects])
    AS_IF([test -n "$vga_lto"], [
      VGA_CFLAGS="$VGA_CFLAGS $vga_lto"
      VGA_LTO='-flto=auto -flto-partition=one'
      VGA_NO_LTO=-fno-lto])
  ])
  AC_SUBST([VGA_LTO])
  AC_SUBST([VGA_NO_LTO])
])

# VGA_SANITIZE: --enable-sanitize builds everything with ASan and UBSan.
AC_DEFUN([VGA_SANITIZE], [
  AC_ARG_ENABLE([sanitize],
    [AS_HELP_STRING([--enable-sanitize],
      [build with the address and undefined behaviour sanitizers])],
    [], [enable_sanitize=no])
  AM_CONDITIONAL([SANITIZE], [test "x$enable_sanitize" = xyes])
  AS_VAR_IF([enable_sanitize], [yes], [
    vga_san="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
    VGA_CFLAGS=`AS_ECHO(["$VGA_CFLAGS"]) | sed 's/-D_FORTIFY_SOURCE=2//'`
    VGA_CFLAGS="$VGA_CFLAGS $vga_san"
    VGA_LDFLAGS="$VGA_LDFLAGS -fsanitize=address,undefined"
  ])
])
