// A plain function with a path of its own, as a site has them beside its workloads.

export default async (request, context) =>
  Response.json({ name: context.params.name, method: request.method });

export const config = { path: "/hello/:name" };
