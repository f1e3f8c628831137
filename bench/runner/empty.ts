// What every start costs: Node and the loader, and nothing of ours.
export {};
