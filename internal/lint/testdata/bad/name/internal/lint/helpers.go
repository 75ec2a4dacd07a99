package helpers // want "package helpers says nothing"
