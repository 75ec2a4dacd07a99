package helpers_test // want "package helpers says nothing"
