import type { Generated } from 'kysely';
import type { GeneratedInt8 } from './column-types.ts';
import type { MixpanelRegion, QueryKind } from './values.ts';

/** What may be asked of partners, shared by all processes. */
export interface LimitTables {
  mixpanel_queries: MixpanelQueryTable;
  mixpanel_budgets: MixpanelBudgetTable;
  mixpanel_readers: MixpanelReaderTable;
  pacers: PacerTable;
  pacer_lines: PacerLineTable;
}

interface MixpanelQueryTable {
  id: GeneratedInt8;
  region: MixpanelRegion;
  mixpanel_project_id: string;
  kind: Generated<QueryKind>;
  /** When it was reserved; once it is answered, when that was: Mixpanel has counted it in between. */
  at: Date;
}

interface MixpanelBudgetTable {
  region: MixpanelRegion;
  mixpanel_project_id: string;
  held_until: Date | null;
  slots_held_until: Date | null;
  next_scheduled_at: Date | null;
}

interface MixpanelReaderTable {
  region: MixpanelRegion;
  mixpanel_project_id: string;
  reader_id: string;
  slots: number;
  expires_at: Date;
}

interface PacerTable {
  key: string;
  held_until: Date;
  caution: number;
}

interface PacerLineTable {
  id: string;
  under_way: number;
  asks_again_at: Date | null;
  seen_at: Date;
}
