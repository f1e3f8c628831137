// Command chart-types is a program without a purpose of its own: the tests use the files that come with it.
package main

import "fmt"

var version string

func main() {
	fmt.Println(version)
}
