package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/millrank/millrank/internal/clienttls"
)

// Errors that writing gives, for errors.Is. All of them pass once what they say is mended; what was to be written must then be written again.
var (
	ErrAway     = errors.New("ClickHouse can't be reached: check that it runs, and URL")
	ErrTimeout  = errors.New("ClickHouse did not answer in time: it is overloaded or cut off, or Timeout is too short")
	ErrBusy     = errors.New("ClickHouse has no room at the moment: parts, memory, disk or queries are at their limit")
	ErrReadOnly = errors.New("ClickHouse doesn't take writes: a replica has lost its Keeper, too few replicas are there, or the user may only read")
	ErrSchema   = errors.New("ClickHouse lacks a database, table or column: run millrank migrate")
	ErrTLS      = errors.New("no encrypted connection to ClickHouse")
	ErrDenied   = errors.New("ClickHouse refuses the user: check user, password, and grants on Database")
)

// ErrActive is the error of dropping the generation that is the active one.
var ErrActive = errors.New("this generation is the active one: activate another one first")

// ErrSuperseded is the error of an activation that comes after a later one.
var ErrSuperseded = errors.New("the history has been told of a later activation, or of another one with this epoch")

const codeBadArguments = 36

// class is what is to be done about an error of an insert.
type class int

const (
	passing class = iota // try the same again later
	content              // the server doesn't take the rows, however often they are sent
	unknown              // content, if it takes others
)

// contentCodes are ClickHouse's errors that are about the rows themselves.
func contentCodes() []int32 {
	return []int32{
		6,   // CANNOT_PARSE_TEXT
		26,  // CANNOT_PARSE_QUOTED_STRING
		27,  // CANNOT_PARSE_INPUT_ASSERTION_FAILED
		38,  // CANNOT_PARSE_DATE
		41,  // CANNOT_PARSE_DATETIME
		69,  // ARGUMENT_OUT_OF_BOUND
		72,  // CANNOT_PARSE_NUMBER
		117, // INCORRECT_DATA
		128, // TOO_LARGE_ARRAY_SIZE
		131, // TOO_LARGE_STRING_SIZE
		190, // SIZES_OF_ARRAYS_DONT_MATCH
		321, // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
		349, // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
		395, // FUNCTION_THROW_IF_VALUE_IS_NON_ZERO
		407, // DECIMAL_OVERFLOW
		469, // VIOLATED_CONSTRAINT
		691, // UNKNOWN_ELEMENT_OF_ENUM
	}
}

// passingCodes are ClickHouse's errors that are about the server, with what explains them.
func passingCodes() map[int32]error {
	codes := map[int32]error{}
	for kind, list := range map[error][]int32{
		ErrBusy:     {159, 160, 173, 201, 202, 203, 241, 243, 252, 290, 439, 653, 654},
		ErrReadOnly: {164, 225, 242, 254, 285, 286, 287, 319, 225, 999},
		ErrSchema:   {8, 10, 16, 20, 47, 53, 60, 81, 218},
		ErrDenied:   {192, 193, 194, 195, 497, 516},
		ErrAway:     {32, 33, 95, 96, 198, 209, 210, 217, 236, 279, 394, 425, 519},
	} {
		for _, code := range list {
			codes[code] = kind
		}
	}
	return codes
}

// classify says what is to be done about an error of an insert.
func classify(err error) class {
	failure, ok := exceptionOf(err)
	if !ok {
		return passing
	}
	if slices.Contains(contentCodes(), failure.Code) {
		return content
	}
	if _, known := passingCodes()[failure.Code]; known {
		return passing
	}
	return unknown
}

// exceptionOf returns what the server said, if it did.
func exceptionOf(err error) (*clickhouse.Exception, bool) {
	return errors.AsType[*clickhouse.Exception](err)
}

// explain says what to do about an error; nil stays nil.
func explain(err error) error {
	if err == nil {
		return nil
	}
	if failure, ok := exceptionOf(err); ok {
		if kind, known := passingCodes()[failure.Code]; known {
			return fmt.Errorf("%w: %w", kind, err)
		}
		return fmt.Errorf("ClickHouse: %w", err)
	}
	var network net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case clienttls.ReasonOf(err) != clienttls.None:
		return fmt.Errorf("%w: %w; %s", ErrTLS, err, clienttls.ReasonOf(err).Describe(clienttls.Names{
			Authority: "clickhouse.tls.ca_file", Certificate: "clickhouse.tls.certificate_file", Key: "clickhouse.tls.key_file",
		}, "clickhouse.tls.enabled"))
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout(), errors.Is(err, clickhouse.ErrAcquireConnTimeout):
		return fmt.Errorf("%w: %w", ErrTimeout, err)
	case errors.As(err, &network):
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	return fmt.Errorf("ClickHouse: %w", err)
}
