import { z } from 'zod';
import { ok, refuse } from './answers.ts';
import { perSecond, route } from './route.ts';
import { SAMPLE_CAMPAIGNS, SAMPLE_CREATED_AT, type SampleCampaign } from './sample-campaigns.ts';

const MEDIA = { email: 'Email', push: 'Push', sms: 'SMS', inApp: 'InApp', webPush: 'WebPush' };
const HOUR_MS = 3_600_000;
const DEFAULT_PAGE_SIZE = 20;

const CAMPAIGNS = SAMPLE_CAMPAIGNS.map(toDetails);
type SortKey = 'id' | 'name' | 'createdAt' | 'updatedAt' | 'startAt';

const paging = z.object({
  page: z.coerce.number().int().min(1).optional(),
  pageSize: z.coerce.number().int().min(1).max(1_000).optional(),
  sort: z
    .string()
    // A plus in a query is a blank.
    .regex(/^[-+ ]?(id|name|createdAt|updatedAt|startAt)$/)
    .default('id'),
});

/** Those that the sample's events come from. */
export const campaignRoutes = [
  route({
    name: 'listCampaigns',
    method: 'GET',
    path: '/api/campaigns',
    limits: perSecond(100),
    params: paging,
    answer({ input: { page, pageSize, sort }, request }) {
      const states = request.query.getAll('campaignState');
      const found = CAMPAIGNS.filter((one) => states.length === 0 || states.includes(one.campaignState));
      const key = sort.replace(/^[-+ ]/, '') as SortKey;
      found.sort((one, other) => (one[key] < other[key] ? -1 : 1));
      if (sort.startsWith('-')) found.reverse();
      if (page === undefined && pageSize === undefined) return ok({ campaigns: found });

      const size = pageSize ?? DEFAULT_PAGE_SIZE;
      const number = page ?? 1;
      const pageUrl = (next: number) => {
        const query = new URLSearchParams(request.query);
        query.set('page', String(next));
        query.set('pageSize', String(size));
        return `${request.path}?${query}`;
      };
      return ok({
        campaigns: found.slice((number - 1) * size, number * size),
        totalCampaignsCount: found.length,
        ...(number * size < found.length ? { nextPageUrl: pageUrl(number + 1) } : {}),
        ...(number > 1 ? { previousPageUrl: pageUrl(number - 1) } : {}),
      });
    },
  }),
  route({
    name: 'getCampaign',
    method: 'GET',
    path: '/api/campaigns/{id}',
    limits: perSecond(100),
    params: z.object({ id: z.string().regex(/^\d+$/).transform(Number) }),
    answer({ input: { id } }) {
      const found = CAMPAIGNS.find((one) => one.id === id);
      return found ? ok(found) : refuse(404, 'NotFound', `Campaign ${id} not found`);
    },
  }),
];

function toDetails(campaign: SampleCampaign, index: number) {
  const createdAt = SAMPLE_CREATED_AT + index * HOUR_MS;
  return {
    id: campaign.campaignId,
    name: campaign.campaignName,
    templateId: campaign.templateId,
    type: campaign.workflowId === null ? 'Blast' : 'Triggered',
    campaignState: campaign.workflowId === null ? 'Finished' : 'Running',
    messageMedium: MEDIA[campaign.medium],
    createdByUserId: 'marketing@example.com',
    createdAt,
    updatedAt: createdAt,
    startAt: createdAt + HOUR_MS,
    labels: campaign.labels,
    ...(campaign.workflowId === null ? {} : { workflowId: campaign.workflowId }),
  };
}
