// Apollo Server, as its documentation starts it.

const { ApolloServer } = require("@apollo/server");
const { startStandaloneServer } = require("@apollo/server/standalone");
const { GraphQLError } = require("graphql");
const { typeDefs, resolvers, isAllowed } = require("./api.js");

const server = new ApolloServer({ typeDefs, resolvers, introspection: process.env.INTROSPECTION !== "false" });
const context = async ({ req }) => {
  if (isAllowed(req.headers.authorization)) return {};
  throw new GraphQLError("the token is not valid", { extensions: { code: "UNAUTHENTICATED", http: { status: 401 } } });
};
const listen = { port: Number(process.env.PORT), host: "127.0.0.1" };
startStandaloneServer(server, { listen, context }).then(() => console.log("listening"));
