// GraphQL Yoga, over the HTTP server of Node.

const { createServer } = require("node:http");
const { createSchema, createYoga } = require("graphql-yoga");
const { typeDefs, resolvers, isAllowed } = require("./api.js");

const yoga = createYoga({
  schema: createSchema({ typeDefs, resolvers }),
  maskedErrors: false,
  logging: false,
  graphiql: false,
});
const server = createServer((request, response) => {
  if (isAllowed(request.headers.authorization)) return yoga(request, response);
  response.writeHead(401, { "content-type": "application/json" });
  response.end(JSON.stringify({ errors: [{ message: "Unauthenticated" }] }));
});
server.listen(Number(process.env.PORT), "127.0.0.1", () => console.log("listening"));
