#!/bin/sh
# The testbed as containers; called by compose/make.sh with PROGRAM COMMAND. Needs sh, awk and docker.
#
# Example: compose/docker/main.sh compose status
set -eu
. "$(dirname "$0")/lib.sh"
for part in runtime secrets workers environment exporters build bench view doctor report eyes commands; do
    # shellcheck disable=SC1090
    . "$HERE/docker/$part.sh"
done

case "${1-} ${2-}" in
"compose doctor"* | "compose build" | "compose digests" | "compose tools-clean" | " ") ;;
*) own_project ;;
esac
case "${1-} ${2-}" in
"compose up") up ;;
"compose down") down ;;
"compose clean") clean ;;
"compose status") status ;;
"compose logs") logs ;;
"compose doctor") shift 2; doctor "$@" ;;
"compose doctor-host") doctor_host ;;
"compose build") load_environment lenient; build_images ;;
"compose tools-clean") tools_clean ;;
"compose digests") digests ;;
"compose roll") load_environment; roll ;;
# Compose itself, with our files and values: overlays, tests and the bench container use it.
"compose run-compose") shift 2; load_environment lenient; in_compose "$@" ;;
"compose trace") shift 2; trace "$@" ;;
"compose top") shift 2; top "$@" ;;
"loadtests "*)
    shift
    load_environment
    bench "$@"
    ;;
*) sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
