package chdb

// Which library it is. To take another version: `npm view @chdb/lib-linux-x64-gnu@VERSION --json` says what the
// numbers of the package are; Install says what the library's are, in its error.
const (
	// Version is the version of the npm package.
	Version     = "26.5.3"
	packageName = "@chdb/lib-linux-x64-gnu"
	// packageHash is npm's integrity of the package: SHA-512, in base64.
	packageHash  = "fPrLmRt5Moor9yGz4mazbrNje4t7X9KB2mTGkXFWRxRBs2iKy8yh6jx11xsa0Qr3iDFMU/yHqd+bVdYJXu3QaQ=="
	packageBytes = 166_572_008
	// libraryHash is the SHA-256 of the library in it, in hexadecimal.
	libraryHash  = "4330da79405733f7572f27c1442f46c03a08301f00859dce0368645731b1e1dc"
	libraryBytes = 559_044_752
)
