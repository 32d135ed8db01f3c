import type { ApiClient } from './api-client.ts';

export interface Page<Node> {
  totalCount: number;
  edges: { cursor: string; node: Node }[];
  pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string; endCursor: string };
}

/** One page of a connection of Query, for example readPage(api, 'exports', 'id', 'first: 2'). */
export async function readPage<Node>(
  api: ApiClient,
  field: string,
  selection: string,
  args = 'first: 20',
): Promise<Page<Node>> {
  const data = await api.query(`{ ${field}(${args}) {
    totalCount edges { cursor node { ${selection} } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  } }`);
  return data[field];
}

/** Every node, read a page after the other. */
export async function readAllPages<Node>(
  api: ApiClient,
  field: string,
  selection: string,
  args: string,
): Promise<Node[]> {
  const nodes: Node[] = [];
  let page: Page<Node> | undefined;
  do {
    const after = page ? `, after: ${JSON.stringify(page.pageInfo.endCursor)}` : '';
    page = await readPage<Node>(api, field, selection, `${args}${after}`);
    nodes.push(...page.edges.map((edge) => edge.node));
  } while (page.pageInfo.hasNextPage);
  return nodes;
}
