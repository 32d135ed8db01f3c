export interface MixpanelSettings {
  queriesPerHour: number;
  concurrentQueries: number;
  defaultPageSize: number;
  laterPagesCount: boolean;
  sessionLifeMs: number;
  totalOnFirstPageOnly: boolean;
  /** Added to the total that is told. */
  totalError: number;
  /** The only Data View that can be read; null: the project has none. */
  workspaceId: string | null;
  /** Query API is part of the plan. */
  hasApi: boolean;
  /** Later pages show the cohort as it was at the first one; without, as it is by then. */
  keepsSnapshots: boolean;
  /** SIMPLIFIED: events need no distinct_id beside $user_id or $device_id, and those that merge identities are refused. */
  idMerge: 'ORIGINAL' | 'SIMPLIFIED';
  /** Its service accounts may import. */
  importAllowed: boolean;
  /** Of one import, once it is uncompressed. */
  maxImportBytes: number;
  /** What the answer calls the $insert_id of a record that failed. */
  insertIdSpelling: 'insert_id' | '$insert_id';
  /** Records that failed are told with their index; without, only the messages are. */
  namesFailures: boolean;
  /** Places in the batch of records that failed. */
  tellsIndex: boolean;
  /** Events that are refused whatever they look like. */
  refusedEvents: RefusedEvent[];
  /** Taken off the number that is told of an import that went well. */
  liesAbout: number;
  /** Without, events are counted only, so that any number of them can be imported. */
  keepsEvents: boolean;
}

/** Meets events of this $insert_id and of this name; of any where none is given. */
export interface RefusedEvent {
  insertId?: string | undefined;
  event?: string | undefined;
  message: string;
}

/** What Mixpanel's answer to a larger one names. */
export const MAX_IMPORT_BYTES = 2_097_152;

export const DEFAULT_SETTINGS: MixpanelSettings = {
  queriesPerHour: 60,
  concurrentQueries: 5,
  defaultPageSize: 1000,
  laterPagesCount: false,
  sessionLifeMs: 30 * 60_000,
  totalOnFirstPageOnly: false,
  totalError: 0,
  workspaceId: null,
  hasApi: true,
  keepsSnapshots: true,
  idMerge: 'SIMPLIFIED',
  importAllowed: true,
  maxImportBytes: MAX_IMPORT_BYTES,
  insertIdSpelling: 'insert_id',
  namesFailures: true,
  tellsIndex: true,
  refusedEvents: [],
  liesAbout: 0,
  keepsEvents: true,
};
