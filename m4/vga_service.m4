# SPDX-License-Identifier: MIT

# VGA_SERVICE_DIR(NAME, WHAT, DEFAULT): --with-NAME=DIR, the folder that WHAT is installed
# in; or "no", and it is not.
AC_DEFUN([VGA_SERVICE_DIR], [
  AC_ARG_WITH([$1],
    [AS_HELP_STRING([--with-$1=DIR], [install $2 in DIR ("no": nowhere) @<:@$3@:>@])],
    [], [with_$1='$3'])
  AS_VAR_IF([with_$1], [yes],
    [AC_MSG_ERROR([--with-$1 wants the folder: --with-$1=DIR])])
  AS_VAR_COPY([$1], [with_$1])
  AC_SUBST([$1])
  AM_CONDITIONAL(m4_toupper([$1]), [test "x$with_$1" != xno])
])
