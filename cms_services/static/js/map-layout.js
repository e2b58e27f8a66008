// A worker that lays out the dependency map, so that the page can be used meanwhile. It is sent the
// nodes and pairs of their ids, and answers with a place for each node and the points of each line.

importScripts("../vendor/dagre.min.js");

// Beyond so many nodes the best ranks would take longer than anybody likes to wait.
const MANY = 120;

self.onmessage = ({ data: { ids, ends, node, margin } }) => {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "LR", nodesep: 14, ranksep: 72, marginx: margin, marginy: margin,
    ranker: ids.length > MANY ? "tight-tree" : "network-simplex" });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const id of ids) graph.setNode(id, { ...node });
  for (const [from, to] of ends) graph.setEdge(from, to);
  dagre.layout(graph);
  const { width, height } = graph.graph();
  self.postMessage({
    places: ids.map((id) => { const { x, y } = graph.node(id); return { x, y }; }),
    lines: ends.map(([from, to]) => graph.edge(from, to).points),
    size: { width, height },
  });
};
