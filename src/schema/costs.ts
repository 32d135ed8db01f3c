/** What one operation may cost: a field is 1, and what is below a connection counts once for each row of its page. */
export const COST_LIMITS = { complexity: 25_000, depth: 15, breadth: 1_000 };

/** The schema describes itself in some 400 kB; one type in some 4. */
export const INTROSPECTION_COSTS: Record<string, number> = { __schema: 5_000, __type: 500 };
