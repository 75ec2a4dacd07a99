// Package gadgets is new.
package gadgets // want "package gadgets is not in the table of rooms"
