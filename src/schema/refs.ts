import type { PendingRemovalRow } from '../../db/queries/held-removal.ts';
import type { RunMemberRow } from '../../db/queries/run-member.ts';
import type {
  ApiTokenRow,
  CohortRow,
  ExportRow,
  IntegrationRow,
  ProjectRow,
  SyncRunRow,
} from '../../db/tables.ts';
import type { Member as MemberValue } from '../resolvers/member.ts';
import type { MixpanelAccount as MixpanelAccountValue } from '../resolvers/mixpanel-account.ts';
import type { MemberEvent as MemberEventValue } from '../sync/member-story.ts';
import { builder } from './builder.ts';
import { COSTS } from './costs.ts';

/** The types that name each other. Rows keep the database's spelling; the fields give the API's. */
export const Project = builder.objectRef<Pick<ProjectRow, 'id' | 'name'>>('Project');
export const ApiToken = builder.objectRef<ApiTokenRow>('ApiToken');
export const MixpanelAccount = builder.objectRef<MixpanelAccountValue>('MixpanelAccount');
export const Integration = builder.objectRef<IntegrationRow>('Integration');
export const Cohort = builder.objectRef<CohortRow>('Cohort');
export const Export = builder.objectRef<ExportRow>('Export');
export const SyncRun = builder.objectRef<SyncRunRow>('SyncRun');
export const PendingRemoval = builder.objectRef<PendingRemovalRow>('PendingRemoval');
export const RunMember = builder.objectRef<RunMemberRow>('RunMember');
export const Member = builder.objectRef<MemberValue>('Member');
export const MemberEvent = builder.objectRef<MemberEventValue>('MemberEvent');

const totalCount = { description: 'How many rows the whole list has.' };

function connectionOf<
  Ref extends
    | typeof ApiToken
    | typeof Cohort
    | typeof Export
    | typeof SyncRun
    | typeof RunMember
    | typeof MemberEvent
    | typeof PendingRemoval,
>(type: Ref, noun: string, total: number) {
  return builder.connectionObject(
    {
      type,
      name: `${type.name}Connection`,
      description: `A page of ${noun} (Relay cursor connection).`,
      fields: (t) => ({
        totalCount: t.int({
          ...totalCount,
          complexity: total,
          resolve: (page) => (page as { totalCount: () => Promise<number> }).totalCount(),
        }),
      }),
    },
    { name: `${type.name}Edge`, description: `One of a page of ${noun}.` },
  );
}

export const ApiTokenConnection = connectionOf(ApiToken, 'API tokens', COSTS.total);
export const CohortConnection = connectionOf(Cohort, 'cohorts', COSTS.total);
export const ExportConnection = connectionOf(Export, 'exports', COSTS.total);
export const SyncRunConnection = connectionOf(SyncRun, 'runs', COSTS.total);
export const PendingRemovalConnection = connectionOf(PendingRemoval, 'pending removals', COSTS.total);
export const RunMemberConnection = connectionOf(RunMember, 'people of a run', COSTS.ledgerTotal);
export const MemberEventConnection = connectionOf(MemberEvent, 'what happened to a person', 1);
