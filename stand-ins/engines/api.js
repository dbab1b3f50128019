// The API that Yoga and Apollo Server serve: items in each style of pagination, with a part that fails for some of them.
// Common modules, so that NODE_PATH says where the packages are.

const COUNT = Number(process.env.ITEMS);

const typeDefs = `
  type Owner { id: Int!, name: String! }
  type Item { id: Int!, name: String, amount: Float, day: String, flag: Boolean, owner: Owner, labels: [String!]!, fragile: Int }
  type Edge { cursor: String!, node: Item }
  type PageInfo { hasNextPage: Boolean!, endCursor: String }
  type Items { edges: [Edge!]!, nodes: [Item!]!, pageInfo: PageInfo!, totalCount: Int! }
  type Page { items: [Item!]!, total: Int!, hasMore: Boolean! }
  type Query {
    items(first: Int = 10, after: String): Items!
    itemsFrom(offset: Int = 0, limit: Int = 10): [Item!]!
    itemPage(page: Int = 1, perPage: Int = 10): Page!
  }
`;

const item = (id) => ({
  id,
  name: id % 7 === 0 ? null : `item ${id} é "x"`,
  amount: id / 4,
  day: "2024-02-29",
  flag: id % 2 === 0,
  owner: id % 10 === 9 ? null : { id: id % 3, name: `owner ${id % 3}` },
  labels: Array.from({ length: id % 4 }, (_, label) => `label ${label}`),
  fragile: () => {
    if (id % 10 === 4) throw new Error("the fragile part is broken");
    return id;
  },
});

const all = Array.from({ length: COUNT }, (_, index) => item(index + 1));

const resolvers = {
  Query: {
    items: (_, { first, after }) => {
      const begin = after ? Number(Buffer.from(after, "base64").toString()) : 0;
      const nodes = all.slice(begin, begin + first);
      const cursor = (node) => Buffer.from(String(node.id)).toString("base64");
      const last = nodes.length ? cursor(nodes[nodes.length - 1]) : null;
      return {
        edges: nodes.map((node) => ({ cursor: cursor(node), node })),
        nodes,
        pageInfo: { hasNextPage: begin + first < COUNT, endCursor: last },
        totalCount: COUNT,
      };
    },
    itemsFrom: (_, { offset, limit }) => all.slice(offset, offset + limit),
    itemPage: (_, { page, perPage }) => ({
      items: all.slice((page - 1) * perPage, page * perPage),
      total: COUNT,
      hasMore: page * perPage < COUNT,
    }),
  },
};

// Whether a request has the token that the server wants.
const isAllowed = (header) => !process.env.TOKEN || header === `Bearer ${process.env.TOKEN}`;

module.exports = { typeDefs, resolvers, isAllowed };
