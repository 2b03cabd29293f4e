// What a dashboard of ours may contain: Grafana's published types, closed to anything that they do not know.
// `make check-dashboards` reads each dashboard as a `Dashboard`.

import type * as grafana from "@grafana/schema";
import type * as pie from "@grafana/schema/dist/esm/raw/composable/piechart/panelcfg/x/PieChartPanelCfg_types.gen";
import type * as stat from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type * as states from "@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen";
import type * as table from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type * as series from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

/** A published type as JSON writes it: the members of an enum are their values. */
type Json<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]: Json<T[K]> } : T;

/** One property that an override sets: of the field itself, or of its panel's own part. */
type Override<Field, Custom> =
  | { [K in keyof Field & string]-?: { id: K; value: Field[K] } }[keyof Field & string]
  | { [K in keyof Custom & string]-?: { id: `custom.${K}`; value: Custom[K] } }[keyof Custom & string];

/** The published type of a field leaves links open. */
type Field = Omit<grafana.FieldConfig, "custom" | "links"> & { links?: Link[] };
type DataSource = { type: "prometheus" | "tempo"; uid: string };
type Link = { title: string; url: string; targetBlank?: boolean };

/** The published type leaves queries open: these are the fields of its data sources' queries that we use. */
type Query = { refId: string; datasource: DataSource; hide?: boolean };
type PromQL = Query & {
  expr: string;
  editorMode: "code";
  legendFormat: string;
  format?: "table";
  instant?: boolean;
  range?: boolean;
  exemplar?: boolean;
};
type TraceQL = Query & { queryType: "traceql"; query: string; tableType: "spans"; limit: number };

/** What is narrower here, or needed where the published type would let it be absent. */
type Narrowed = "type" | "title" | "description" | "options" | "fieldConfig" | "targets" | "datasource";
type Panel<Type, Options, Custom> = Omit<grafana.Panel, Narrowed> & {
  type: Type;
  title: string;
  description: string;
  datasource: DataSource;
  targets: (PromQL | TraceQL)[];
  options: Options;
  fieldConfig: {
    defaults: Field & { custom?: Partial<Custom> };
    overrides: { matcher: grafana.MatcherConfig; properties: Override<Field, Custom>[] }[];
  };
};

export type Dashboard = Json<
  Omit<grafana.Dashboard, "panels"> & {
    uid: string;
    panels: (
      | Panel<"timeseries", series.Options, series.FieldConfig>
      | Panel<"stat", stat.Options, {}>
      | Panel<"table", table.Options, table.FieldConfig>
      | Panel<"piechart", pie.Options, pie.FieldConfig>
      | Panel<"state-timeline", states.Options, states.FieldConfig>
    )[];
  }
>;
