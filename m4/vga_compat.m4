# SPDX-License-Identifier: MIT
# What an older glibc or musl lacks (src/platform/compat.h).

# VGA_COMPAT: looks for what compat has in its stead, and for what nothing can stand for.
AC_DEFUN([VGA_COMPAT], [
  AC_CHECK_HEADERS([sys/pidfd.h])
  AC_CHECK_FUNCS([close_range fgetpwent_r malloc_trim sigabbrev_np strerrorname_np])
  AC_CHECK_MEMBERS([struct statx.stx_mnt_id], [], [], [[#include <sys/stat.h>]])
  AC_CHECK_MEMBER([struct clone_args.cgroup], [],
    [AC_MSG_ERROR([the kernel's headers, of Linux 5.10 or newer, are needed])],
    [[#include <linux/types.h>
#include <linux/sched.h>]])
  AC_CHECK_HEADER([linux/close_range.h], [],
    [AC_MSG_ERROR([the kernel's headers, of Linux 5.10 or newer, are needed])])
  # Before glibc 2.34 these are libraries of their own. Tests alone take the last two.
  vga_saved_LIBS=$LIBS
  LIBS=
  AC_SEARCH_LIBS([pthread_create], [pthread], [], [AC_MSG_ERROR([threads are needed])])
  AC_SEARCH_LIBS([openpty], [util])
  AC_SEARCH_LIBS([dlsym], [dl])
  VGA_LIBS=$LIBS
  LIBS=$vga_saved_LIBS
  AC_SUBST([VGA_LIBS])
])

# VGA_CROSS_PKG_CONFIG: pkg-config of the machine that builds tells of its own libraries,
# unless it is told where others are. Their paths would be taken, and the link would fail.
AC_DEFUN([VGA_CROSS_PKG_CONFIG], [
  AS_IF([test "x$cross_compiling" = xyes], [
    AS_CASE([$PKG_CONFIG], [*/$host_alias-pkg-config | *" "*], [], [
      AS_IF([test -z "$PKG_CONFIG_LIBDIR$PKG_CONFIG_PATH$PKG_CONFIG_SYSROOT_DIR$JSON_C_LIBS"],
        [AC_MSG_ERROR(m4_normalize([this is a cross build for $host_alias, and $PKG_CONFIG knows
          the libraries of this machine. Set PKG_CONFIG_LIBDIR to the folder that holds
          json-c.pc and libbsd-overlay.pc for $host_alias, and PKG_CONFIG_SYSROOT_DIR where
          the paths in these are below another root; or PKG_CONFIG to a program that knows.]))])
    ])
  ])
])
