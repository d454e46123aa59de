#!/bin/sh
# Makes the JSON Schemas of this folder from Grafana's own published types (npm package @grafana/schema,
# Apache-2.0). Needs node and npm; only done again for another version of Grafana: sh grafana/schema/generate.sh
set -eu
version=13.2.3
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init --yes >/dev/null
npm install --ignore-scripts --no-audit --no-fund "@grafana/schema@$version" ts-json-schema-generator@2.9.0 >/dev/null
types=./node_modules/@grafana/schema/dist/types/raw

make_schema() { # name, TypeScript that declares Checked
    printf '%s\n' "$2" >"$1.ts"
    npx --no-install ts-json-schema-generator --path "$1.ts" --type Checked --no-type-check --jsDoc none --out "$here/$1.json"
}

make_schema dashboard "import type * as d from '$types/dashboard/x/types.gen';
export interface Checked { dashboard: d.Dashboard; panel: d.Panel; row: d.RowPanel;
  variable: d.VariableModel; annotation: d.AnnotationQuery; link: d.DashboardLink; }"
for panel in timeseries xychart; do
    make_schema "$panel" "import type * as p from '$types/composable/$panel/panelcfg/x/types.gen';
export interface Checked { options: p.Options; custom: p.FieldConfig }"
done
make_schema stat "import type * as p from '$types/composable/stat/panelcfg/x/types.gen';
export interface Checked { options: p.Options }"
